"""The nouns that travel between modules: frozen, no behaviour, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

    from clusterctl.secret import Secret

MASTER = "master"


class NodeState(str, Enum):
    """What the provider says of a machine."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"


class Facet(str, Enum):
    """What a node can be asked for. A plugin whose facet is absent is reported as not needed there."""

    MACHINE = "machine"
    """It is a whole machine: root, users, packages of the system."""
    INIT = "init"
    """systemd runs on it; elsewhere services run under supervisord."""
    SHARED_HOME = "shared_home"
    """The provider already shares the home folder."""
    SHARED_CACHE = "shared_cache"
    """What one of them has downloaded the others need not: whoever fills the cache first is waited for."""
    LASTING = "lasting"
    """It outlives its cluster: whoever set something up on it undoes it when the node leaves."""
    DIRECT = "direct"
    """Its loopback is the laptop's: ports need no tunnel."""


@dataclass(frozen=True)
class Layout:
    """Where things live on a node. All absolute paths."""

    env: PurePosixPath
    """The virtual environment, on the node's own disk."""
    state: PurePosixPath
    """Service definitions, connection files, profiles."""
    logs: PurePosixPath
    run: PurePosixPath
    """Sockets; short, since a Unix socket's path must fit into 104 bytes."""
    home: PurePosixPath
    """The cluster user's home, shared by all nodes."""
    cache: PurePosixPath
    """Built environments, by the hash of what is in them."""


@dataclass(frozen=True)
class Access:
    """How the laptop gets onto a node, where not straight and with the cluster's own key."""

    key: str = ""
    """Private key file on the laptop; empty: the cluster's own."""
    agent: bool = False
    """Offer what the user's ssh agent and ``~/.ssh`` have, too."""
    jump: str = ""
    """A host to go through, as ``[user@]host[:port]``; its key must be in the user's known_hosts."""
    command: tuple[str, ...] = ()
    """A program on the laptop whose input and output are the way to the node's SSH server, in place of a TCP
    connection; `jump` has no effect then. The node's address may be any name that this program knows."""


@dataclass(frozen=True)
class Node:
    """A machine that belongs to a cluster."""

    alias: str
    cluster: str
    id: str
    """The provider's name for this very machine and boot: another one after a stop and start."""
    state: NodeState
    address: str
    """Where the laptop reaches it."""
    private_address: str
    """Where the other nodes reach it."""
    port: int
    user: str
    host_key: str
    """OpenSSH public key that the node must show, as ``ssh-ed25519 AAAA...``."""
    layout: Layout
    facets: frozenset[Facet] = frozenset()
    cores: int | None = None
    """Cores that this node may use; None until known."""
    type: str = ""
    market: str = ""
    zone: str = ""
    """Where in a region it is."""
    access: Access = Access()
    bootstrap_key: bool = False
    """`host_key` is a throw-away one that came with the node's birth: the node gets one of its own at first contact."""
    reachable: bool = True
    """False when the node is gone, or did not answer: only the laptop's side can be cleaned up."""

    @property
    def is_master(self) -> bool:
        """Whether this is the node that the others join."""
        return self.alias == MASTER


@dataclass(frozen=True)
class Request:
    """What a plugin wants from every node; merged over all plugins and applied once."""

    pip: tuple[str, ...] = ()
    """Requirements, as pip writes them."""
    apt: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports on the master that must be open to the world. Rarely right: the tunnel needs none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Text files to be on every node: path below the cluster user's home to content."""
    shared: tuple[str, ...] = ()
    """Folders (absolute paths) that all nodes see the same, beside the cluster user's home."""


@dataclass(frozen=True)
class Volume:
    """A disk that outlives clusters, mounted on the master and seen by all nodes."""

    name: str
    mount_path: PurePosixPath
    id: str = ""
    """The provider's name for it: ``vol-...`` on EC2, a volume's name with Docker. Empty: `device` is there already."""
    device: str = ""
    """Path of the block device on the master, where the provider attaches nothing."""
    partition: int | None = None
    file_system: str = "ext4"
    """What a blank disk is formatted with, if it may be."""
    format: bool = False
    """A blank disk may be formatted. One with anything on it never is."""


@dataclass(frozen=True)
class Machines:
    """What the template says of every machine, whichever plugin or provider makes it so."""

    user: str
    """The cluster user: the work runs as this one."""
    shell: str = "bash"
    dns_prefix: bool = False
    """Host names begin with the cluster's name."""
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class NodeSpec:
    """A node that is wanted."""

    alias: str
    types: tuple[str, ...] = ()
    """Any of which may be taken."""
    market: str = ""
    """``on-demand``, ``spot``, or ``spot-with-fallback`` (on demand where no spot instance is to be had)."""
    bid: str = ""
    """Most to pay for an hour, in USD; empty: the price on demand."""
    image: str = ""
    vcpus: float | None = None
    """Processors, where the provider can choose; None: its own default."""
    memory_gb: float | None = None


@dataclass(frozen=True)
class Plan:
    """What `start` is going to do. Made without asking anybody: the same input gives the same plan."""

    cluster: str
    provider: str
    user: str
    nodes: tuple[NodeSpec, ...]
    plugins: tuple[str, ...]
    request: Request
    min_size: int
    deadline_s: float
    digest: str
    """Changes when anything that a join applies changes; a member joined under another one joins again."""
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class Connection:
    """A way from the laptop to a service on the master.

    Where the node is not direct, each port is forwarded and the laptop's port takes its place in
    `document` (same key) and `url` (``{name}``).
    """

    name: str
    host: str
    """The address on the master that the ports are open on."""
    ports: Mapping[str, int]
    document: Mapping[str, object] | None = None
    """Written to ``NAME.json`` (0600) in the cluster's folder."""
    url: Secret | None = None
    summary: str = ""
    """One line for the end of `start`, such as ``6 engines on 3 nodes for me``."""


@dataclass(frozen=True)
class Service:
    """A program that is kept running: restarted when it dies, its output in ``LOGS/NAME-N.log``."""

    name: str
    command: Sequence[str]
    """Program and arguments, no shell. ``{number}`` is the number of the instance."""
    directory: PurePosixPath
    user: str = ""
    """Who it runs as, where the node is a machine; empty: root."""
    home: PurePosixPath | None = None
    """The user's home; where it is shared, the service waits for it."""
    count: int = 1
    first: int = 0
    """The number of the first instance."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Visible to everybody who may list processes of this user: no secrets."""
    whole_group: bool = False
    """Under supervisord, stop the children too; else they see their parent end, and may still say goodbye. systemd
    always stops them."""
    version: str = ""
    """A restart happens when anything above changes, or this."""


@dataclass(frozen=True)
class ServiceState:
    """One instance of a service, as the node's service manager sees it."""

    service: str
    number: int
    running: bool
    detail: str


@dataclass(frozen=True)
class StatusRow:
    """One fact about a node, as a plugin sees it."""

    node: str
    item: str
    value: str
    healthy: bool = True
    count: int | None = None
    """How many of `item` are up, where it is something that can be counted."""


@dataclass(frozen=True)
class Step:
    """An act of the wavefront: a plugin, or ``ssh`` (until it answers), on a node. Seconds since `start` began."""

    node: str
    plugin: str
    waited_for: str
    """What it could not start without and got last, such as ``master/packages``; empty if nothing."""
    ready_s: float
    began_s: float
    ended_s: float
    commands: int = 0
    """Remote commands it cost."""
    error: str = ""


@dataclass(frozen=True)
class Problem:
    """Something that would stop a plan, found before anything was created."""

    message: str
    remedy: str
