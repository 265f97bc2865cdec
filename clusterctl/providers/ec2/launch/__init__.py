"""Launching instances: what there is to launch with, one launch as a whole, waiting, and the end."""
