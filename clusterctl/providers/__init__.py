"""Owners of machines. Each is chosen in wiring.py and reached only through the protocols in base.py."""
