"""Nodes in containers of the Docker engine on this computer: each one with an SSH server, from an image of ours."""

from __future__ import annotations

from clusterctl.providers.docker.provider import DockerProvider

__all__ = ["DockerProvider"]
