"""The data that modules exchange: frozen dataclasses without behaviour or I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import PurePosixPath

    from clusterctl.secret import Secret

MASTER = "master"


class NodeState(str, Enum):
    """The state of a machine, as its provider reports it."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"


class Market(str, Enum):
    """How a machine is bought. Configs, journals and answers for programs have its text."""

    SPOT = "spot"
    SPOT_WITH_FALLBACK = "spot-with-fallback"
    """A spot instance, or one on demand if no spot instance is available. Only a request has it."""
    ON_DEMAND = "on-demand"
    NONE = ""
    """The provider sells nothing."""

    def __str__(self) -> str:
        """Return the text, as Python 3.10 does, and later ones do not."""
        return self.value


class Facet(str, Enum):
    """A capability of a node. A plugin that needs a missing facet is reported as not needed there."""

    MACHINE = "machine"
    """The node is a whole machine: root, users, system packages."""
    INIT = "init"
    """systemd runs on the node; elsewhere services run under supervisord."""
    SHARED_HOME = "shared_home"
    """The provider shares the home folder already."""
    SHARED_VOLUMES = "shared_volumes"
    """The provider mounts each volume that it has itself on every node, not only on the master."""
    SHARED_CACHE = "shared_cache"
    """The nodes share a cache of downloads: one node fills it first, and the others wait for that."""
    LASTING = "lasting"
    """The node outlives its cluster: plugins undo their changes when the node leaves."""
    STOPS_ITSELF = "stops_itself"
    """The node is no machine that is switched off, and yet can stop itself for good: a container."""
    DIRECT = "direct"
    """The node's loopback is the laptop's loopback: ports need no tunnel."""


@dataclass(frozen=True)
class Layout:
    """The paths on a node, all absolute."""

    env: PurePosixPath
    """The virtual environment, on the node's own disk."""
    state: PurePosixPath
    """Service definitions, connection files, profiles."""
    logs: PurePosixPath
    run: PurePosixPath
    """Sockets. A short path, since a Unix socket's path must fit into 104 bytes."""
    home: PurePosixPath
    """The cluster user's home, shared by all nodes."""
    cache: PurePosixPath
    """Built environments, by the hash of their content."""

    @property
    def interruption(self) -> PurePosixPath:
        """The file that says when the node will be taken; its tasks may look at it."""
        return self.run / "interruption"

    @property
    def programs(self) -> tuple[PurePosixPath, ...]:
        """The folders of the cluster's own programs, which every shell of the cluster user finds first."""
        return self.env / "bin", self.state / "python" / "bin"


@dataclass(frozen=True)
class Access:
    """How the laptop logs in to a node, if not directly with the cluster's own key."""

    key: str = ""
    """The private key file on the laptop; empty: the cluster's own key."""
    agent: bool = False
    """Offer the keys of the user's ssh agent and ``~/.ssh``, too."""
    jump: str = ""
    """The jump host, as ``[user@]host[:port]``; its host key must be in the user's known_hosts."""
    command: tuple[str, ...] = ()
    """A program on the laptop whose input and output are connected to the node's SSH server, instead of a TCP
    connection; `jump` has no effect then. The node's address may be any name that this program knows."""
    through: Node | None = None
    """A member of the same cluster that is the jump host: the cluster's own key and host keys count there."""

    @property
    def gateway(self) -> str:
        """What stands between the laptop and the node; empty if nothing does, or a program."""
        return self.jump or (f"the {self.through.alias}" if self.through else "")


@dataclass(frozen=True)
class Node:
    """A machine that belongs to a cluster."""

    alias: str
    cluster: str
    id: str
    """The provider's id of this machine and boot: a stop and start changes it. Only its owner takes it apart."""
    state: NodeState
    address: str
    """The address for the laptop."""
    private_address: str
    """The address for the other nodes."""
    port: int
    user: str
    host_key: str
    """The OpenSSH host key that the node must show, as ``ssh-ed25519 AAAA...``."""
    layout: Layout
    facets: frozenset[Facet] = frozenset()
    cores: int | None = None
    """The number of cores that this node may use; None until known."""
    type: str = ""
    market: Market = Market.NONE
    zone: str = ""
    """The zone within the region."""
    region: str = ""
    access: Access = Access()
    bootstrap_key: bool = False
    """True if `host_key` is a temporary key from the node's creation. The first login replaces it by an own key."""
    machine_id: str = field(kw_only=True)
    """The provider's id of this machine: a stop and start keeps it."""
    boot_id: str = ""
    """A text that differs from boot to boot of this machine; empty if the provider does not notice boots."""
    launched_at: datetime | None = None
    """When this boot was requested, in UTC; None if the provider does not know."""
    ends_at: datetime | None = None
    """When the machine ends by itself, in UTC; None if it does not."""
    cluster_id: str = ""
    """The id of the cluster that the machine was made for, as the machine itself or its provider has it; empty where
    that is not kept."""
    owner: str = ""
    """Who made the machine, as its provider has it; empty where that is not kept."""
    home_volume: str = ""
    """The provider's id of the volume for the home that it has attached to this master; empty where there is none. Only
    what `Provider.create` returns has it."""
    gone_when_off: bool = False
    """True if the machine is gone, with its disk, once it is switched off from inside."""
    reachable: bool = True
    """False if the node is gone or did not answer. Then only the laptop's side can be cleaned up."""

    @property
    def is_master(self) -> bool:
        """Whether this is the node that the others join."""
        return self.alias == MASTER


@dataclass(frozen=True)
class Request:
    """What a plugin requests for every node. The requests of all plugins are merged and applied once."""

    pip: tuple[str, ...] = ()
    """Requirements in pip's notation."""
    apt: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports on the master that must be open to the world. Rarely right: the tunnel needs none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Text files for every node: path below the cluster user's home to content."""
    shared: tuple[str, ...] = ()
    """Folders (absolute paths) that all nodes share, besides the cluster user's home."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of engines, notebooks and logins. The template's VARIABLES come before them. No secrets."""
    homes_elsewhere: bool = False
    """True if the homes are kept neither on the master nor by the provider: they outlive both."""
    stamps: tuple[str, ...] = ()
    """What tells versions of what the plugin puts onto nodes apart: another one makes all of them join again."""


@dataclass(frozen=True)
class Volume:
    """A disk that outlives clusters, mounted on the master and seen by all nodes."""

    name: str
    mount_path: PurePosixPath
    id: str = ""
    """The provider's id: ``vol-...`` on EC2, a volume's name in Docker. Empty: `device` is present already."""
    device: str = ""
    """The path of the block device on the master, if the provider attaches no volumes."""
    partition: int | None = None
    file_system: str = "ext4"
    """The file system for a blank disk, if formatting is allowed."""
    format: bool = False
    """True if a blank disk may be formatted. A disk with any data never is."""


@dataclass(frozen=True)
class Machines:
    """The settings of every machine, from the template. Plugins and providers apply them."""

    user: str
    """The cluster user, who runs the work."""
    shell: str = "bash"
    dns_prefix: bool = False
    """True if host names begin with the cluster's name."""
    volumes: tuple[Volume, ...] = ()
    home_volume: bool = field(default=False, repr=False)
    """True if the home, the ports and the keys of the cluster shall outlive the master."""


@dataclass(frozen=True)
class NodeSpec:
    """The specification of a node in a plan."""

    alias: str
    types: tuple[str, ...] = ()
    """The allowed instance types."""
    market: Market = Market.NONE
    bid: Decimal | None = None
    """The highest price for an hour, in USD; None: the price on demand."""
    image: str = ""
    vcpus: float | None = None
    """Number of processors, if the provider can choose it; None: its default."""
    memory_gb: float | None = None


NO_BID = Decimal("Infinity")
"""In place of the template's bid, which is meant for the template's types."""


@dataclass(frozen=True)
class NodeOverrides:
    """What was requested for one node, where it differs from the template. Empty fields are as in the template."""

    types: tuple[str, ...] = ()
    market: Market = Market.NONE
    bid: Decimal | None = None
    image: str = ""
    vcpus: float | None = None
    memory_gb: float | None = None


@dataclass(frozen=True)
class Plan:
    """What `start` will do. Made without any request: the same input gives the same plan."""

    cluster: str
    provider: str
    user: str
    nodes: tuple[NodeSpec, ...]
    plugins: tuple[str, ...]
    request: Request
    min_size: int
    deadline_s: float
    digest: str
    """A hash of everything that a join applies. A member that joined with another digest joins again."""
    volumes: tuple[Volume, ...] = ()
    home_volume: bool = False
    """True if the master's home shall be on a volume of its own, unless the provider's homes outlive masters anyhow."""


@dataclass(frozen=True)
class Connection:
    """A connection from the laptop to a service on the master.

    If the node lacks `Facet.DIRECT`, each port is forwarded, and the laptop's port replaces it in `document` (same key)
    and `url` (``{name}``).
    """

    name: str
    host: str
    """The address on the master on which the ports are open."""
    ports: Mapping[str, int]
    document: Mapping[str, object] | None = None
    """The content of ``NAME.json`` (0600) in the cluster's folder."""
    url: Secret | None = None
    summary: str = ""
    """A few words for the first line of `start`'s answer, such as ``6 engines on 3 nodes for me``."""
    usage: str = ""
    """How to use it, for the end of `start`'s answer; may have several lines. ``{file}`` is the path of ``NAME.json``,
    in quotation marks."""


@dataclass(frozen=True)
class StatusRow:
    """One line of `status`: a fact that a plugin reports about a node."""

    node: str
    item: str
    value: str
    healthy: bool = True
    count: int | None = None
    """The number of `item` that are up, if it can be counted."""
    ends: bool = False
    """True if the node is about to end: it counts as lost already."""
    may_end: bool = False
    """True if it is said that the node may end."""


@dataclass(frozen=True)
class Problem:
    """A problem that would stop a plan, found before anything is created."""

    message: str
    remedy: str
