"""The laptop's side of a cluster: its folder, the journal of requests in it, and the id that proves what is its own."""

from __future__ import annotations

from clusterctl.journal.events import JOURNAL_FORMAT, describe_overrides, find_id, parse_overrides, read_machine_keys
from clusterctl.journal.folder import CONFIG_COPY, TURN_FILE, ClusterFolder
from clusterctl.journal.ids import known_ids

__all__ = [
    "CONFIG_COPY",
    "JOURNAL_FORMAT",
    "TURN_FILE",
    "ClusterFolder",
    "describe_overrides",
    "find_id",
    "known_ids",
    "parse_overrides",
    "read_machine_keys",
]
