"""Whose a cluster is: its id, its keys, the record on its master, and another laptop that takes it over."""
