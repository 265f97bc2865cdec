"""A node as the engine knows it. The labels of its container are the only record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from clusterctl.formats import VERSION, Format
from clusterctl.model import MASTER, Facet, Node, NodeState
from clusterctl.providers.base import machine_layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FACETS = frozenset({Facet.MACHINE, Facet.SHARED_HOME, Facet.SHARED_VOLUMES, Facet.SHARED_CACHE})
LOOPBACK = "127.0.0.1"
OWNER = "clusterctl.owner"
CLUSTER = "clusterctl.cluster"
ID = "clusterctl.id"
"""The cluster's id. What earlier versions made has none: its owner and its name say whose it is."""
_OF_EARLIER_VERSIONS = "SHA256:"
"""The beginning of the id of a cluster that an earlier version made."""
_FORMAT = Format("the container", 1)
_FORMAT_LABEL, _VERSION_LABEL = "clusterctl.format", "clusterctl.version"
_KEYS = ("alias", "user", "host-key", "port", "address", "cores", "image")
_STATES = {
    "running": NodeState.RUNNING,
    "restarting": NodeState.PENDING,
    "removing": NodeState.GONE,
    "dead": NodeState.GONE,
}
ALWAYS = "unless-stopped"
"""The restart policy of a node that cannot stop itself, since its engine would start it again."""
UNTIL_ITS_END, NEVER = "on-failure", "no"
"""The restart policies of a node that stops itself, while it is to run and while it is not. It comes back when it was
killed, or when its engine starts, unless its main process has ended with 0: see entry.sh of the node image."""
UNFINISHED = frozenset({"created", "dead", "removing"})
"""States of a container that is not a complete node, or not any more. It is made again."""


@dataclass(frozen=True)
class Record:
    """The facts of a node since its creation. They never change, and none is secret."""

    owner: str
    """The owner: several users, and several folders of one user, may share an engine."""
    cluster: str
    alias: str
    user: str
    """The cluster user."""
    host_key: str
    port: int
    """The port of its SSH server, on this computer's loopback."""
    address: str
    """The address on the cluster's own network."""
    cores: int
    image: str
    """The image name as it was requested."""
    cluster_id: str = ""

    def to_labels(self) -> dict[str, str]:
        """Return the record as labels of a container."""
        values = (self.alias, self.user, self.host_key, str(self.port), self.address, str(self.cores), self.image)
        own = {f"clusterctl.{key}": value for key, value in zip(_KEYS, values, strict=True)}
        stamp = {_FORMAT_LABEL: str(_FORMAT.number), _VERSION_LABEL: VERSION}
        return {OWNER: self.owner, CLUSTER: self.cluster, ID: self.cluster_id, **stamp, **own}

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Record:
        """Return the record that these labels hold.

        Raises:
            NewerFormatError: a newer version made the container.
        """
        place = f"{labels.get('clusterctl.alias')} of {labels.get(CLUSTER)}"
        _FORMAT.check(labels.get(_FORMAT_LABEL), labels.get(_VERSION_LABEL), place)
        alias, user, host_key, port, address, cores, image = (labels[f"clusterctl.{key}"] for key in _KEYS)
        owner, cluster = labels[OWNER], labels[CLUSTER]
        return cls(owner, cluster, alias, user, host_key, int(port), address, int(cores), image, labels.get(ID, ""))


@dataclass(frozen=True)
class Scope:
    """Which things of the engine are meant: those of one cluster by its id, or all of an owner."""

    owner: str | None
    """None: of all owners."""
    cluster: str | None = None
    """None: every cluster of the owner."""
    id: str = ""
    """The cluster's id; empty: whatever has the name, to look at it alone."""

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which everything of the cluster is found again."""
        return {OWNER: self.owner or "", CLUSTER: self.cluster or "", ID: self.id}

    @property
    def filters(self) -> dict[str, list[str]]:
        """The engine's filter. What it lets through is still to be looked at: see `owns`."""
        if self.id and not self.id.startswith(_OF_EARLIER_VERSIONS):
            # Whoever took the cluster over may be another owner than the one who made it.
            return {"label": [f"{ID}={self.id}", f"{CLUSTER}={self.cluster}"]}
        owner = OWNER if self.owner is None else f"{OWNER}={self.owner}"
        return {"label": [owner, CLUSTER if self.cluster is None else f"{CLUSTER}={self.cluster}"]}

    def owns(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether a thing with these labels is meant."""
        made_for = (labels or {}).get(ID, "")
        return not self.id or made_for == self.id or (not made_for and self.id.startswith(_OF_EARLIER_VERSIONS))


def blank_labels() -> dict[str, str]:
    """Return empty labels for an image made of a node: it inherits the labels of the node, but is not a node."""
    own = (f"clusterctl.{key}" for key in _KEYS)
    return dict.fromkeys((OWNER, CLUSTER, ID, _FORMAT_LABEL, _VERSION_LABEL, *own), "")


@dataclass(frozen=True)
class Container:
    """A container that is a node."""

    id: str
    state: str
    """Docker's name of the state."""
    started: str
    """The time of the last start."""
    mounts: frozenset[str]
    """The paths where volumes are mounted."""
    record: Record
    stops_itself: bool = False

    @property
    def is_running(self) -> bool:
        """Whether the container runs, or is about to."""
        return _STATES.get(self.state) in {NodeState.RUNNING, NodeState.PENDING}

    @property
    def is_master(self) -> bool:
        """Whether this is the node that the others join."""
        return self.record.alias == MASTER

    def to_node(self) -> Node:
        """Return the container as a Node."""
        record = self.record
        return Node(
            alias=record.alias,
            cluster=record.cluster,
            id=f"{self.id[:12]}@{self.started}",
            machine_id=self.id[:12],
            boot_id=self.started,
            launched_at=_parse_time(self.started),
            state=_STATES.get(self.state, NodeState.STOPPED),
            address=LOOPBACK,
            private_address=record.address,
            port=record.port,
            user="root",
            host_key=record.host_key,
            layout=machine_layout(record.user),
            facets=FACETS | {Facet.STOPS_ITSELF} if self.stops_itself else FACETS,
            cores=record.cores,
            type=record.image,
            cluster_id=record.cluster_id,
            owner=record.owner,
        )


def _parse_time(text: str) -> datetime | None:
    """Return a time of Docker's, such as ``2026-01-01T00:09:00.123456789Z``, to the second."""
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def parse_container(inspected: Mapping[str, Any]) -> Container:
    """Return the container that the engine's answer to `inspect` describes."""
    return Container(
        id=inspected["Id"],
        state=inspected["State"]["Status"],
        started=inspected["State"]["StartedAt"],
        mounts=frozenset(mount["Destination"] for mount in inspected.get("Mounts") or ()),
        record=Record.from_labels(inspected["Config"]["Labels"]),
        stops_itself=_policy(inspected) in {UNTIL_ITS_END, NEVER},
    )


def _policy(inspected: Mapping[str, Any]) -> str:
    return str(((inspected.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or ALWAYS)


def sort_containers(containers: Iterable[Container]) -> list[Container]:
    """Return the containers sorted by cluster, the master first, then by alias."""
    return sorted(containers, key=lambda c: (c.record.cluster, not c.is_master, c.record.alias))
