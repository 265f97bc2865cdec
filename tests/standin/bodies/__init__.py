"""Containers as the machines behind instances: they boot, take logins, and keep their disks."""
