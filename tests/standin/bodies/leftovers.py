"""What bodies leave on this computer if their run was killed. Only for whoever has claimed the addresses."""

from __future__ import annotations

import os
import signal
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from docker.errors import DockerException, NotFound

from ...qemu import Bridge
from .subnet import PREFIX, USUAL

if TYPE_CHECKING:
    from docker import DockerClient

    from .subnet import Subnet

LABEL = "clusterctl.body"
"""On everything that a Docker engine makes for bodies: the subnet."""
INSTANCE = "clusterctl.body.instance"
"""On a container: the id of its instance."""
BRIDGE = "ec2vm"
"""The bridge of virtual machines."""


def make_bridge() -> Bridge:
    """The bridge on which virtual machines have their addresses."""
    return Bridge(BRIDGE, f"{USUAL.gateway}/{PREFIX}", nat=True)


def remove_all(subnet: Subnet = USUAL) -> None:
    """Remove bodies of every kind from a subnet. Virtual machines are in the usual one."""
    if subnet == USUAL and os.geteuid() == 0 and Path(f"/sys/class/net/{BRIDGE}").exists():
        remove_machines()
    with suppress(DockerException), closing(docker.from_env()) as engine:
        remove_containers(engine, subnet)


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


def remove_machines() -> None:
    """End virtual machines and remove their bridge: nobody else has ports of it."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = process.read_bytes()
            if command.startswith(b"qemu-system") and f"ifname={BRIDGE}-".encode() in command:
                os.kill(int(process.parent.name), signal.SIGKILL)
    make_bridge().remove()
