"""What bodies leave on this computer if their run was killed. Only for whoever has claimed the addresses."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from docker.errors import NotFound

if TYPE_CHECKING:
    from docker import DockerClient

    from .subnet import Subnet

LABEL = "clusterctl.body"
"""On everything that a Docker engine makes for bodies: the subnet."""
INSTANCE = "clusterctl.body.instance"
"""On a container: the id of its instance."""


def remove_containers(engine: DockerClient, subnet: Subnet) -> None:
    """Remove containers, what was made of them, their networks and their volumes."""
    only = {"label": f"{LABEL}={subnet.network}"}
    for container in engine.containers.list(all=True, filters=only, ignore_removed=True):
        with suppress(NotFound):
            container.remove(force=True, v=True)
    for image in engine.images.list(filters=only):
        engine.images.remove(image.id, force=True)
    for network in engine.networks.list(filters=only):
        network.remove()
    for volume in engine.volumes.list(filters=only):
        volume.remove(force=True)
