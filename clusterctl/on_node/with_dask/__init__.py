"""Programs for the environment's Python.

They may use dask, distributed, tornado and cryptography besides the standard library. Those that the watch of a node
loads use the standard library alone.
"""
