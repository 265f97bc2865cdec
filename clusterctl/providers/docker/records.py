"""A node as the engine has it: its labels, which are the only record, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.model import MASTER, Facet, Node, NodeState
from clusterctl.providers.base import machine_layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FACETS = frozenset({Facet.MACHINE, Facet.SHARED_HOME, Facet.SHARED_CACHE})
LOOPBACK = "127.0.0.1"
OWNER = "clusterctl.owner"
CLUSTER = "clusterctl.cluster"
_KEYS = ("alias", "user", "host-key", "port", "address", "cores", "image")
_STATES = {
    "running": NodeState.RUNNING,
    "restarting": NodeState.PENDING,
    "removing": NodeState.GONE,
    "dead": NodeState.GONE,
}
UNFINISHED = frozenset({"created", "dead", "removing"})
"""States of a container that never was a node, or is none any more: it is made anew."""


@dataclass(frozen=True)
class Record:
    """What is known of a node from its birth on. Nothing of it changes, and nothing of it is secret."""

    owner: str
    """Whose: several users, and several folders of one user, may share an engine."""
    cluster: str
    alias: str
    user: str
    """The cluster user."""
    host_key: str
    port: int
    """Of its SSH server, on this computer's loopback."""
    address: str
    """On the cluster's own network."""
    cores: int
    image: str
    """As it was asked for."""

    def labels(self) -> dict[str, str]:
        """As labels of the container."""
        values = (self.alias, self.user, self.host_key, str(self.port), self.address, str(self.cores), self.image)
        own = {f"clusterctl.{key}": value for key, value in zip(_KEYS, values, strict=True)}
        return {OWNER: self.owner, CLUSTER: self.cluster, **own}

    @classmethod
    def of_labels(cls, labels: Mapping[str, str]) -> Record:
        """Read them back."""
        alias, user, host_key, port, address, cores, image = (labels[f"clusterctl.{key}"] for key in _KEYS)
        owner, cluster = labels[OWNER], labels[CLUSTER]
        return cls(owner, cluster, alias, user, host_key, int(port), address, int(cores), image)


def blank_labels() -> dict[str, str]:
    """What an image gets that was made of a node: labels are inherited, and it is no node."""
    return dict.fromkeys((OWNER, CLUSTER, *(f"clusterctl.{key}" for key in _KEYS)), "")


@dataclass(frozen=True)
class Container:
    """A container of ours."""

    id: str
    state: str
    """In Docker's words."""
    started: str
    """When it was started last."""
    mounts: frozenset[str]
    """Paths that volumes are mounted on."""
    record: Record

    @property
    def is_running(self) -> bool:
        """Whether there is nothing to do for it to run."""
        return _STATES.get(self.state) in {NodeState.RUNNING, NodeState.PENDING}

    @property
    def is_master(self) -> bool:
        """Whether this is the node that the others join."""
        return self.record.alias == MASTER

    def node(self) -> Node:
        """As everybody else sees it."""
        record = self.record
        return Node(
            alias=record.alias,
            cluster=record.cluster,
            id=f"{self.id[:12]}@{self.started}",
            state=_STATES.get(self.state, NodeState.STOPPED),
            address=LOOPBACK,
            private_address=record.address,
            port=record.port,
            user="root",
            host_key=record.host_key,
            layout=machine_layout(record.user),
            facets=FACETS,
            cores=record.cores,
            type=record.image,
        )


def container_of(inspected: Mapping[str, Any]) -> Container:
    """Of what the engine says when it is asked to inspect one."""
    return Container(
        id=inspected["Id"],
        state=inspected["State"]["Status"],
        started=inspected["State"]["StartedAt"],
        mounts=frozenset(mount["Destination"] for mount in inspected.get("Mounts") or ()),
        record=Record.of_labels(inspected["Config"]["Labels"]),
    )


def ordered(containers: Iterable[Container]) -> list[Container]:
    """By cluster, the master first, then by alias."""
    return sorted(containers, key=lambda c: (c.record.cluster, not c.is_master, c.record.alias))
