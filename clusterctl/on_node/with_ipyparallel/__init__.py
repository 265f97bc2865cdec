"""Programs for the environment's Python.

They may use ipyparallel, ipykernel, zmq, tornado and traitlets besides the standard library.
"""
