"""Owners of machines. Each is chosen in wiring and reached only through the protocols in base.py."""
