"""Machines that exist already and that you can log in to: a lab, a rack."""

from __future__ import annotations

from clusterctl.providers.static.hosts import Host, as_written
from clusterctl.providers.static.provider import StaticProvider

__all__ = ["Host", "StaticProvider", "as_written"]
