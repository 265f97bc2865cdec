"""Names that engines, the controller and clients have agreed on for how an engine has ended."""

from __future__ import annotations

KEY = "clusterctl_ended"
"""In what a nanny tells the hub of its engine's end: how it has ended, if that is known. In a notice of the hub to all
clients: the engine's uuid, and that."""
LONGEST = 1000
"""Characters of it."""
