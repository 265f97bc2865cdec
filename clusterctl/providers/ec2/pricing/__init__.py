"""What instances and disks cost, have cost, and may cost."""
