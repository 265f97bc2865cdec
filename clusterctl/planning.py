"""From settings and plugin requests to a plan. Pure: the same input gives the same plan."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.environment import variables
from clusterctl.errors import ConfigError, UsageError
from clusterctl.model import MASTER, NO_BID, Market, NodeSpec, Plan, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.config.cluster_section import ClusterSection
    from clusterctl.model import Machines, NodeOverrides, Volume

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_name(name: str) -> str:
    """Return the name. Refuse one that cannot be a host name, since nodes are named after their cluster.

    `_` is allowed, because existing clusters use it.
    """
    if not _HOST_NAME.fullmatch(name.replace("_", "-")):
        raise UsageError(
            f"{name!r} cannot name a cluster: it must be a valid host name",
            remedy="use letters, digits, `-` and `_`, 63 at most, with a letter or a digit at both ends",
        )
    return name


def node_aliases(size: int) -> tuple[str, ...]:
    """Return the aliases ``master``, ``node001``, ... of a cluster with `size` nodes."""
    return (MASTER, *(f"node{number:03d}" for number in range(1, size)))


def next_aliases(taken: Iterable[str], count: int) -> tuple[str, ...]:
    """Return the lowest `count` worker aliases that are free."""
    used = set(taken)
    free = (f"node{number:03d}" for number in range(1, len(used) + count + 1))
    return tuple(alias for alias in free if alias not in used)[:count]


def merge_requests(requests: Iterable[tuple[str, Request]]) -> Request:
    """Return all requests as one: each entry once, in the order of first mention.

    Raises:
        ConfigError: two plugins want the same file or variable with different content, or one that nodes cannot have.
    """
    pip: dict[str, None] = {}
    apt: dict[str, None] = {}
    ports: dict[int, None] = {}
    files: dict[str, str] = {}
    shared: dict[str, None] = {}
    environment: dict[str, str] = {}
    stamps: dict[str, None] = {}
    elsewhere = False
    for name, request in requests:
        pip |= dict.fromkeys(request.pip)
        apt |= dict.fromkeys(request.apt)
        ports |= dict.fromkeys(request.ports)
        shared |= dict.fromkeys(request.shared)
        stamps |= dict.fromkeys(request.stamps)
        elsewhere = elsewhere or request.homes_elsewhere
        for variable, value in request.environment.items():
            if fault := variables.find_fault(variable, value):
                raise ConfigError((f"plugin {name}: {fault}",), remedy="leave the plugin out of PLUGINS, or mend it")
            if environment.setdefault(variable, value) != value:
                raise ConfigError(
                    (f"plugin {name} and another one both want to set {variable}, differently",),
                    remedy="leave one of them out of PLUGINS",
                )
        for path, content in request.files.items():
            if files.setdefault(path, content) != content:
                raise ConfigError(
                    (f"plugin {name} and another one both want to write {path}, differently",),
                    remedy="leave one of them out of PLUGINS",
                )
    return Request(
        tuple(pip),
        tuple(apt),
        tuple(ports),
        files,
        tuple(shared),
        environment=environment,
        homes_elsewhere=elsewhere,
        stamps=tuple(stamps),
    )


def build_plan(
    name: str,
    cluster: ClusterSection,
    *,
    provider: str,
    plugins: Sequence[tuple[str, str]],
    request: Request,
    nodes: Sequence[str],
    machines: Machines,
    node_overrides: Mapping[str, NodeOverrides] | None = None,
) -> Plan:
    """Return the plan of a cluster.

    Args:
        name: the name of the cluster.
        cluster: the resolved template.
        provider: the name of the provider.
        plugins: name and options (as text that shows every change) of each plugin, in order.
        request: all plugins' requests, merged.
        nodes: aliases of the wanted nodes, the master first.
        machines: the settings of every machine, from the template.
        node_overrides: what was requested for single nodes, by alias.
    """
    _refuse_mounts(machines.volumes)
    overrides = node_overrides or {}
    said = dict(word.split("=", 1) for word in cluster.variables)
    request = replace(request, environment={**request.environment, **said})
    template_specs = [_node_spec(cluster, alias, provider=provider) for alias in nodes]
    specs = tuple(_override_spec(spec, overrides.get(spec.alias)) for spec in template_specs)
    return Plan(
        cluster=check_name(name),
        provider=provider,
        user=machines.user,
        nodes=specs,
        plugins=tuple(plugin for plugin, _ in plugins),
        request=request,
        min_size=min(cluster.min_size or len(specs), len(specs)),
        deadline_s=cluster.start_timeout,
        digest=_digest(provider, machines, plugins, request),
        volumes=machines.volumes,
        home_volume=machines.home_volume and not cluster.shared_home and not request.homes_elsewhere,
    )


def _digest(provider: str, machines: Machines, plugins: Sequence[tuple[str, str]], request: Request) -> str:
    """Return what changes when members have to join anew."""
    parts = [
        provider,
        str(machines),
        list(plugins),
        request.pip,
        request.apt,
        request.ports,
        dict(request.files),
        request.shared,
        dict(request.environment),
        request.stamps,
        *(["home volume"] if machines.home_volume else []),  # without it members of earlier versions stay members
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def _refuse_mounts(volumes: Sequence[Volume]) -> None:
    """Refuse volumes that would hide each other.

    Raises:
        ConfigError: two are mounted at the same path, or one below another that is mounted after it.
    """
    problems = []
    for place, volume in enumerate(volumes):
        for later in volumes[place + 1 :]:
            if volume.mount_path == later.mount_path:
                problems.append(f"the volumes {volume.name} and {later.name} are both mounted on {volume.mount_path}")
            elif later.mount_path in volume.mount_path.parents:
                problems.append(
                    f"the volume {later.name} on {later.mount_path} would hide {volume.name} on {volume.mount_path}"
                )
    if problems:
        raise ConfigError(
            tuple(problems), remedy="change MOUNT_PATH, or the order in VOLUMES: the outer one comes first"
        )


def _node_spec(cluster: ClusterSection, alias: str, *, provider: str) -> NodeSpec:
    """Return the specification of one node from the template."""
    master = alias == MASTER
    market = worker_market(cluster) if not master or cluster.force_spot_master else Market.ON_DEMAND
    return NodeSpec(
        alias,
        types=(cluster.master_instance_type if master else ()) or cluster.node_instance_type,
        market=market if provider == "ec2" else Market.NONE,
        bid=cluster.spot_bid if market != Market.ON_DEMAND else None,
        image=(cluster.master_image_id if master else None) or cluster.node_image_id or "",
        vcpus=cluster.vcpus,
        memory_gb=cluster.memory_gb,
    )


def _override_spec(spec: NodeSpec, own: NodeOverrides | None) -> NodeSpec:
    """Return the specification with what was requested for this node."""
    if own is None:
        return spec
    return replace(
        spec,
        # The template's types have other sizes than the one that was asked for.
        types=own.types or (() if own.vcpus or own.memory_gb else spec.types),
        market=own.market or spec.market,
        bid=None if own.bid == NO_BID else own.bid or spec.bid,
        image=own.image or spec.image,
        vcpus=own.vcpus or spec.vcpus,
        memory_gb=own.memory_gb or spec.memory_gb,
    )


def worker_market(cluster: ClusterSection) -> Market:
    """Return how workers are bought. A bid alone buys nothing on demand: in StarCluster it never did."""
    if cluster.market:
        return cluster.market
    if cluster.fallback_max:
        return Market.SPOT_WITH_FALLBACK
    return Market.SPOT if cluster.spot_bid else Market.ON_DEMAND
