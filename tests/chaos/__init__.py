"""Breaks parts of a cluster that works, one after the other, under a steady load: `python -m tests.chaos --help`."""
