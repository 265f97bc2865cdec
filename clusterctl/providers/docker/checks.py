"""Checks of a plan before anything is created."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clusterctl.model import Problem
from clusterctl.providers.docker import images

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from docker import APIClient

    from clusterctl.model import Plan
    from clusterctl.providers.docker.records import Container

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LEAST_GB = 0.1
"""Least memory of a node, in GB: less does not hold an SSH server and Python."""


def check_plan(plan: Plan) -> list[Problem]:
    """Return the problems that can be seen without an engine."""
    problems = [
        Problem(f"{name!r} cannot be in the name of a container", "use letters, digits, - and _")
        for name in (plan.cluster, *(spec.alias for spec in plan.nodes))
        if not _NAME.fullmatch(name)
    ]
    for volume in plan.volumes:
        if volume.device or not volume.id:
            problems.append(
                Problem(
                    f"volume {volume.name}: a container cannot mount a disk ({volume.device or 'no VOLUME_ID'})",
                    f"in [volume {volume.name}] give VOLUME_ID, the name of a Docker volume, instead of DEVICE",
                )
            )
        if str(volume.mount_path) in {"/home", "/run", "/dev", "/proc", "/sys"}:
            problems.append(
                Problem(
                    f"volume {volume.name}: {volume.mount_path} of a node is taken",
                    "mount it below another path, such as /data",
                )
            )
    return problems


def check_limits(plan: Plan, cores: int) -> list[Problem]:
    """Return a problem for each limit that the engine cannot give.

    Args:
        plan: the plan; its nodes may have limits.
        cores: the number of processors of the engine.
    """
    problems = {}
    for spec in plan.nodes:
        if spec.vcpus is not None and spec.vcpus > cores:
            text = f"a node shall have {spec.vcpus:g} processors, and the Docker engine has {cores}"
            problems[text] = Problem(text, f"set VCPUS to {cores} or less, or leave it out")
        if spec.memory_gb is not None and spec.memory_gb < _LEAST_GB:
            text = f"a node cannot work with {spec.memory_gb:g} GB of memory"
            problems[text] = Problem(text, "set MEMORY_GB to 1 or more, or leave it out")
    return list(problems.values())


def check_images(api: APIClient, names: Iterable[str], *, default: str) -> list[Problem]:
    """Return a problem for each image that is missing or was not made for nodes."""
    problems = []
    for name in sorted(set(names)):
        image = images.find_image(api, name)
        if image is None and name == default:
            problems.append(Problem(f"the image {name} is not there", "make it: `clusterctl image build`"))
        elif image is None:
            problems.append(
                Problem(
                    f"the image {name} is not there",
                    f"pull it, and make an image of nodes from it: `clusterctl image build --base {name}`",
                )
            )
        elif not images.is_for_nodes(image):
            problems.append(
                Problem(
                    f"the image {name} was not made for nodes: it has no SSH server of ours",
                    f"build on top of it: `clusterctl image build --base {name} --name NAME`, and set"
                    " NODE_IMAGE_ID = NAME",
                )
            )
    return problems


def check_mounts(plan: Plan, existing: Sequence[Container]) -> list[Problem]:
    """Return a problem for each volume that existing nodes lack: Docker mounts only when it creates a container."""
    return [
        Problem(
            f"{', '.join(aliases)} of {plan.cluster} began without the volume {volume.name}, and cannot get it now",
            f"`clusterctl terminate {plan.cluster}`, then start again: a volume with a name is kept",
        )
        for volume in plan.volumes
        if (aliases := _aliases_without_mount(str(volume.mount_path), existing, {spec.alias for spec in plan.nodes}))
    ]


def _aliases_without_mount(path: str, existing: Sequence[Container], aliases: Collection[str]) -> list[str]:
    return [c.record.alias for c in existing if c.record.alias in aliases and path not in c.mounts]
