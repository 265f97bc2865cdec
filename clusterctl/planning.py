"""Settings and plugin requests to a Plan. Pure: the same input gives the same plan."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ConfigError, UsageError
from clusterctl.model import MASTER, NodeSpec, Plan, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.config.cluster_section import ClusterSection
    from clusterctl.model import Machines

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_name(name: str) -> str:
    """Refuse what cannot be a host name: nodes are named after their cluster. `_` is let through, as it was used."""
    if not _HOST_NAME.fullmatch(name.replace("_", "-")):
        raise UsageError(
            f"{name!r} cannot name a cluster: it must be a valid host name",
            remedy="use letters, digits, `-` and `_`, 63 at most, with a letter or a digit at both ends",
        )
    return name


def aliases(size: int) -> tuple[str, ...]:
    """``master``, ``node001``, ... for so many nodes."""
    return (MASTER, *(f"node{number:03d}" for number in range(1, size)))


def next_aliases(taken: Iterable[str], count: int) -> tuple[str, ...]:
    """The lowest `count` worker aliases that are free."""
    used = set(taken)
    free = (f"node{number:03d}" for number in range(1, len(used) + count + 1))
    return tuple(alias for alias in free if alias not in used)[:count]


def merge(requests: Iterable[tuple[str, Request]]) -> Request:
    """All requests as one: each entry once, in the order of first mention.

    Raises:
        ConfigError: two plugins want the same file with different content.
    """
    pip: dict[str, None] = {}
    apt: dict[str, None] = {}
    ports: dict[int, None] = {}
    files: dict[str, str] = {}
    shared: dict[str, None] = {}
    for name, request in requests:
        pip |= dict.fromkeys(request.pip)
        apt |= dict.fromkeys(request.apt)
        ports |= dict.fromkeys(request.ports)
        shared |= dict.fromkeys(request.shared)
        for path, content in request.files.items():
            if files.setdefault(path, content) != content:
                raise ConfigError(
                    (f"plugin {name} and another one both want to write {path}, differently",),
                    remedy="leave one of them out of PLUGINS",
                )
    return Request(tuple(pip), tuple(apt), tuple(ports), files, tuple(shared))


def make_plan(
    name: str,
    cluster: ClusterSection,
    *,
    provider: str,
    plugins: Sequence[tuple[str, str]],
    request: Request,
    nodes: Sequence[str],
    machines: Machines,
    special: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """What is to be.

    Args:
        name: the cluster's.
        cluster: the resolved template.
        provider: the provider's name.
        plugins: name and options (as text that shows every change) of each plugin, in order.
        request: all plugins' requests, merged.
        nodes: aliases that are wanted, the master first.
        machines: what the template says of every machine.
        special: by alias, fields of its `NodeSpec` that were asked for with it and differ from the template's.
    """
    own = special or {}
    specs = tuple(replace(_spec(cluster, alias, provider=provider), **own.get(alias, {})) for alias in nodes)
    facts = [
        provider,
        str(machines),
        list(plugins),
        request.pip,
        request.apt,
        request.ports,
        dict(request.files),
        request.shared,
    ]
    return Plan(
        cluster=check_name(name),
        provider=provider,
        user=machines.user,
        nodes=specs,
        plugins=tuple(plugin for plugin, _ in plugins),
        request=request,
        min_size=min(cluster.min_size or len(specs), len(specs)),
        deadline_s=cluster.start_timeout,
        digest=hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16],
        volumes=machines.volumes,
    )


def _spec(cluster: ClusterSection, alias: str, *, provider: str) -> NodeSpec:
    """What the template says of one node."""
    master = alias == MASTER
    dear = master and not cluster.force_spot_master
    market = "on-demand" if dear else cluster.market or ("spot-with-fallback" if cluster.spot_bid else "on-demand")
    return NodeSpec(
        alias,
        types=(cluster.master_instance_type if master else ()) or cluster.node_instance_type,
        market=market if provider == "ec2" else "",
        bid=str(cluster.spot_bid) if cluster.spot_bid and market != "on-demand" else "",
        image=(cluster.master_image_id if master else None) or cluster.node_image_id or "",
        vcpus=cluster.vcpus,
        memory_gb=cluster.memory_gb,
    )
