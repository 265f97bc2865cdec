"""Nodes on this machine: each one an SSH server of its own on loopback, with a folder and a process tree."""

from __future__ import annotations

from clusterctl.providers.local.provider import LocalProvider

__all__ = ["LocalProvider"]
