"""Functions that run on all engines at once, and what these exchange with each other."""
