"""Prices of instances and disks: estimates, costs so far, and spot price histories."""
