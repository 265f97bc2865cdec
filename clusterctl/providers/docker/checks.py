"""What would stop a plan, seen before anything is made."""

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
"""Below, not even the SSH server and a Python fit."""


def of_plan(plan: Plan) -> list[Problem]:
    """What can be said without an engine."""
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


def of_limits(plan: Plan, cores: int) -> list[Problem]:
    """Limits that the engine cannot give.

    Args:
        plan: whose nodes may have limits.
        cores: those of the engine.
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


def of_images(api: APIClient, names: Iterable[str], *, usual: str) -> list[Problem]:
    """Images that are not there, or are none of ours."""
    problems = []
    for name in sorted(set(names)):
        found = images.find(api, name)
        if found is None and name == usual:
            problems.append(Problem(f"the image {name} is not there", "make it: `clusterctl image build`"))
        elif found is None:
            problems.append(
                Problem(
                    f"the image {name} is not there",
                    f"pull it, and make an image of nodes from it: `clusterctl image build --base {name}`",
                )
            )
        elif not images.is_for_nodes(found):
            problems.append(
                Problem(
                    f"the image {name} was not made for nodes: it has no SSH server of ours",
                    f"build on top of it: `clusterctl image build --base {name} --name NAME`, and set"
                    " NODE_IMAGE_ID = NAME",
                )
            )
    return problems


def of_mounts(plan: Plan, there: Sequence[Container]) -> list[Problem]:
    """Volumes that nodes which exist do not have: Docker mounts at birth or never."""
    return [
        Problem(
            f"{', '.join(lacking)} of {plan.cluster} began without the volume {volume.name}, and cannot get it now",
            f"`clusterctl terminate {plan.cluster}`, then start again: a volume with a name is kept",
        )
        for volume in plan.volumes
        if (lacking := _lacking(str(volume.mount_path), there, {spec.alias for spec in plan.nodes}))
    ]


def _lacking(path: str, there: Sequence[Container], aliases: Collection[str]) -> list[str]:
    return [c.record.alias for c in there if c.record.alias in aliases and path not in c.mounts]
