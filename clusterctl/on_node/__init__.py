"""Python that runs on nodes. clusterctl sends it as data and never imports it: see `node_programs`."""
