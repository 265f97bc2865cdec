"""A user who is asked before a command goes on."""

from __future__ import annotations

from clusterctl.errors import UsageError


class Asked:
    """Says yes, and keeps what he was asked. Implements `Approval`."""

    def __init__(self):
        self.estimates = []
        self.endings = []

    def allow_cost(self, estimate):
        self.estimates.append(estimate)

    def allow_end(self, cluster, endings):
        self.endings.append((cluster, *endings))


class Refusing(Asked):
    """Says no."""

    def allow_cost(self, estimate):
        raise UsageError("no", remedy="yes")

    def allow_end(self, cluster, endings):
        raise UsageError("no", remedy="yes")
