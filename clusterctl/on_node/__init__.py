"""Python that runs on nodes. clusterctl sends it as data and never imports it: see `node_programs`.

Each program goes to a node alone, and imports nothing of the package. So those that write files or wait have a few
lines of their own in place of `clusterctl.files` and `clusterctl.clock`.
"""
