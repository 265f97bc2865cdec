"""A stand-in for Amazon EC2, for tests: of clusterctl, and of plugins that are to run on EC2.

`cloud`, `faults`, `fixtures` and `bodies` are for everyone. docs/howto/standin.md says how to use them, and README.md
how the stand-in is built.
"""
