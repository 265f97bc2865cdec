"""EC2 instances, and the nodes that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from clusterctl.formats import VERSION, Format
from clusterctl.model import MASTER, Access, Facet, Node, NodeState
from clusterctl.providers.base import machine_layout
from clusterctl.providers.ec2 import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.options import Options

LOGIN_USER = "clusterctl"
"""The user that clusterctl logs in as, on every image. cloud-init makes it, with sudo and the cluster's own key."""
LIVING_STATES = ("pending", "running", "stopping", "stopped")
"""Instance states, as EC2 names them, in which an instance exists and costs money."""
ENDED_STATES = ("shutting-down", "terminated")
"""EC2 still lists instances about an hour after they ended."""
_STATES = {
    "pending": NodeState.PENDING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
}
_PAGE = 1000
_FORMAT = Format("the instance", 1)
STAMP = {tags.FORMAT: str(_FORMAT.number), tags.VERSION: VERSION}
"""Tags of every new instance, and of what is made with it."""


@dataclass(frozen=True)
class Instance:
    """One of our instances."""

    id: str
    state: str
    """As EC2 names it."""
    launched_at: str
    """When this boot was requested, ISO 8601. It changes at a stop and start."""
    type: str
    zone: str
    subnet: str
    vpc: str
    market: str
    """``spot`` or ``on-demand``."""
    private_address: str
    public_address: str
    ipv6: str
    volumes: tuple[str, ...]
    reason: str
    """Reason of the present state, if AWS gives one."""
    tags: Mapping[str, str]

    @property
    def cluster(self) -> str:
        """The name of the cluster that the instance belongs to."""
        return self.tags.get(tags.CLUSTER, "")

    @property
    def is_master(self) -> bool:
        """Whether the instance was launched as the master."""
        return self.tags.get(tags.ROLE) == MASTER

    def choose_address(self, preference: str) -> str:
        """Return the address by which the laptop reaches the instance; empty while it has none of that kind.

        Args:
            preference: ``auto``, ``public``, ``private`` or ``ipv6``.
        """
        addresses = {
            "public": self.public_address,
            "private": self.private_address,
            "ipv6": self.ipv6,
            "auto": self.public_address or self.private_address,
        }
        return addresses[preference]

    def to_node(
        self, alias: str, *, options: Options, host_keys: Mapping[str, str], cli_options: Sequence[str] = ()
    ) -> Node:
        """Return the instance as a `Node`.

        Args:
            alias: of the node in its cluster.
            options: of the template.
            cli_options: options of the program `aws` for account and region.
            host_keys: host keys that nodes generated themselves, by instance id.
        """
        own_key = host_keys.get(self.id, "")
        return Node(
            alias=alias,
            cluster=self.cluster,
            id=f"{self.id}@{self.launched_at}",
            state=_STATES.get(self.state, NodeState.GONE),
            address=self.id if options.ssm else self.choose_address(options.address),
            private_address=self.private_address,
            port=22,
            user=LOGIN_USER,
            host_key=own_key or self.tags.get(tags.HOST_KEY, ""),
            bootstrap_key=not own_key,
            layout=machine_layout(self.tags.get(tags.USER, "")),
            facets=instance_facets(shared_home=options.shared_home),
            type=self.type,
            market=self.market,
            zone=self.zone,
            access=Access(jump=options.jump, command=ssm_command(self.id, cli_options) if options.ssm else ()),
        )


def instance_facets(*, shared_home: bool) -> frozenset[Facet]:
    """Return the facets that every instance has."""
    machine = frozenset({Facet.MACHINE, Facet.INIT})
    return machine | {Facet.SHARED_HOME} if shared_home else machine


def ssm_command(instance: str, cli_options: Sequence[str]) -> tuple[str, ...]:
    """Return the command whose standard input and output are connected to an instance's SSH server."""
    start = ("aws", *cli_options, "ssm", "start-session", "--target", instance)
    return (*start, "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22")


def find_instances(aws: Aws, cluster: str | None = None, *, states: Iterable[str] = LIVING_STATES) -> list[Instance]:
    """Return the instances of a cluster, or of all clusters, the oldest first. One call for 1000.

    Raises:
        NewerFormatError: a newer version made one of this cluster. Of all clusters none is refused.
    """
    cluster_filter = tags.filter_by(tags.CLUSTER, cluster) if cluster else {"Name": "tag-key", "Values": [tags.CLUSTER]}
    reservations = aws.pages(
        "ec2",
        "describe_instances",
        "Reservations",
        Filters=[cluster_filter, {"Name": "instance-state-name", "Values": [*states]}],
        MaxResults=_PAGE,
    )
    found_instances = [_parse_instance(raw) for reservation in reservations for raw in reservation["Instances"]]
    for instance in found_instances if cluster else ():
        _FORMAT.check(instance.tags.get(tags.FORMAT), instance.tags.get(tags.VERSION), f"{instance.id} of {cluster}")
    return sorted(found_instances, key=lambda instance: (instance.launched_at, instance.id))


def _parse_instance(raw: Mapping[str, Any]) -> Instance:
    disks = [disk.get("Ebs", {}).get("VolumeId", "") for disk in raw.get("BlockDeviceMappings") or ()]
    launched = raw.get("LaunchTime")
    return Instance(
        id=raw["InstanceId"],
        state=raw["State"]["Name"],
        launched_at=launched.strftime("%Y-%m-%dT%H:%M:%SZ") if launched else "",
        type=raw.get("InstanceType", ""),
        zone=raw.get("Placement", {}).get("AvailabilityZone", ""),
        subnet=raw.get("SubnetId", ""),
        vpc=raw.get("VpcId", ""),
        market="spot" if raw.get("InstanceLifecycle") == "spot" else "on-demand",
        private_address=raw.get("PrivateIpAddress") or "",
        public_address=raw.get("PublicIpAddress") or "",
        ipv6=_first_ipv6(raw),
        volumes=tuple(disk for disk in disks if disk),
        reason=(raw.get("StateReason") or {}).get("Message", ""),
        tags=tags.tags_of(raw),
    )


def _first_ipv6(raw: Mapping[str, Any]) -> str:
    interfaces = raw.get("NetworkInterfaces") or ()
    addresses = [entry["Ipv6Address"] for interface in interfaces for entry in interface.get("Ipv6Addresses") or ()]
    return addresses[0] if addresses else ""


class Named(Protocol):
    """An instance that can have an alias in its cluster."""

    @property
    def id(self) -> str:
        """The id of the instance."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the instance."""
        ...

    @property
    def is_master(self) -> bool:
        """Whether the instance was launched as the master."""
        ...


C = TypeVar("C", bound=Named)


def assign_aliases(instances: Iterable[C], names: Mapping[str, str]) -> dict[str, C]:
    """Return the instances of one cluster by alias, the master first.

    A small launch writes each alias into a tag, a large one only into the laptop's journal. An instance with neither is
    still a node: it gets the lowest free number, in the order of launch.

    Args:
        instances: the oldest first.
        names: aliases from the journal, by instance id.
    """
    by_alias: dict[str, C] = {}
    unnamed: list[C] = []
    for instance in instances:
        alias = MASTER if instance.is_master else instance.tags.get(tags.ALIAS) or names.get(instance.id, "")
        if alias and alias not in by_alias:
            by_alias[alias] = instance
        else:
            unnamed.append(instance)
    number = 1
    for instance in unnamed:
        while f"node{number:03d}" in by_alias:
            number += 1
        by_alias[f"node{number:03d}"] = instance
    return dict(sorted(by_alias.items(), key=lambda item: (item[0] != MASTER, item[0])))
