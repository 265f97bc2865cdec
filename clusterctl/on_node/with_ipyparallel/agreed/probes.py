"""Names that the controller and those who probe it have agreed on."""

from __future__ import annotations

NAME = b"clusterctl-probe"
"""The beginning of the identities, and of the topics, of probes, which are no clients and no engines."""
PARTS_FILE = "parts.json"
"""In the profile's folder ``pid``: the controller's processes, by the names of its parts."""
HUB, TASK, DIRECT, CONTROL = "hub", "task scheduler", "direct scheduler", "control scheduler"
IOPUB, BROADCAST, HEART = "output relay", "broadcast scheduler", "heart monitor"
