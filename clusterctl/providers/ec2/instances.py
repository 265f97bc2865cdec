"""An instance as EC2 has it, and the node that it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from clusterctl.model import MASTER, Access, Facet, Node, NodeState
from clusterctl.providers.base import machine_layout
from clusterctl.providers.ec2 import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.options import Options

LOGIN = "clusterctl"
"""The user that we log in as, on every image: cloud-init makes it, with sudo and the cluster's own key."""
LIVING = ("pending", "running", "stopping", "stopped")
"""Instance states, in EC2's words, in which there is something that may be used, and costs."""
ENDED = ("shutting-down", "terminated")
"""EC2 shows instances for about an hour after their end."""
_STATES = {
    "pending": NodeState.PENDING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
}
_PAGE = 1000


@dataclass(frozen=True)
class Instance:
    """An instance of ours."""

    id: str
    state: str
    """In EC2's words."""
    launched: str
    """When this boot was asked for, ISO 8601: changes at a stop and start."""
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
    """Why it is in its state, where AWS says so."""
    tags: Mapping[str, str]

    @property
    def cluster(self) -> str:
        """The name of the cluster it belongs to."""
        return self.tags.get(tags.CLUSTER, "")

    @property
    def is_master(self) -> bool:
        """Whether it was made to be the node that the others join."""
        return self.tags.get(tags.ROLE) == MASTER

    def address(self, preference: str) -> str:
        """Where the laptop reaches it; empty where it has no such address, or not yet.

        Args:
            preference: ``auto``, ``public``, ``private`` or ``ipv6``.
        """
        found = {
            "public": self.public_address,
            "private": self.private_address,
            "ipv6": self.ipv6,
            "auto": self.public_address or self.private_address,
        }
        return found[preference]

    def node(self, alias: str, *, options: Options, host_keys: Mapping[str, str], login: Sequence[str] = ()) -> Node:
        """As everybody else sees it.

        Args:
            alias: what it is called in its cluster.
            options: how it is reached.
            login: account and region in words of the program `aws`.
            host_keys: by instance id, the keys that nodes have made themselves.
        """
        own = host_keys.get(self.id, "")
        return Node(
            alias=alias,
            cluster=self.cluster,
            id=f"{self.id}@{self.launched}",
            state=_STATES.get(self.state, NodeState.GONE),
            address=self.id if options.ssm else self.address(options.address),
            private_address=self.private_address,
            port=22,
            user=LOGIN,
            host_key=own or self.tags.get(tags.HOST_KEY, ""),
            bootstrap_key=not own,
            layout=machine_layout(self.tags.get(tags.USER, "")),
            facets=facets(shared_home=options.shared_home),
            type=self.type,
            market=self.market,
            zone=self.zone,
            access=Access(jump=options.jump, command=ssm_command(self.id, login) if options.ssm else ()),
        )


def facets(*, shared_home: bool) -> frozenset[Facet]:
    """What every instance is."""
    machine = frozenset({Facet.MACHINE, Facet.INIT})
    return machine | {Facet.SHARED_HOME} if shared_home else machine


def ssm_command(instance: str, login: Sequence[str]) -> tuple[str, ...]:
    """The program whose input and output are the way to an instance's SSH server."""
    start = ("aws", *login, "ssm", "start-session", "--target", instance)
    return (*start, "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22")


def find(aws: Aws, cluster: str | None = None, *, states: Iterable[str] = LIVING) -> list[Instance]:
    """The instances that are tagged as ours, of all clusters without a name, the oldest first; one call for 1000."""
    wanted = tags.filter_by(tags.CLUSTER, cluster) if cluster else {"Name": "tag-key", "Values": [tags.CLUSTER]}
    reservations = aws.pages(
        "ec2",
        "describe_instances",
        "Reservations",
        Filters=[wanted, {"Name": "instance-state-name", "Values": [*states]}],
        MaxResults=_PAGE,
    )
    found = [_instance(each) for reservation in reservations for each in reservation["Instances"]]
    return sorted(found, key=lambda instance: (instance.launched, instance.id))


def _instance(said: Mapping[str, Any]) -> Instance:
    disks = [disk.get("Ebs", {}).get("VolumeId", "") for disk in said.get("BlockDeviceMappings") or ()]
    launched = said.get("LaunchTime")
    return Instance(
        id=said["InstanceId"],
        state=said["State"]["Name"],
        launched=launched.strftime("%Y-%m-%dT%H:%M:%SZ") if launched else "",
        type=said.get("InstanceType", ""),
        zone=said.get("Placement", {}).get("AvailabilityZone", ""),
        subnet=said.get("SubnetId", ""),
        vpc=said.get("VpcId", ""),
        market="spot" if said.get("InstanceLifecycle") == "spot" else "on-demand",
        private_address=said.get("PrivateIpAddress") or "",
        public_address=said.get("PublicIpAddress") or "",
        ipv6=_ipv6(said),
        volumes=tuple(disk for disk in disks if disk),
        reason=(said.get("StateReason") or {}).get("Message", ""),
        tags=tags.tags_of(said),
    )


def _ipv6(said: Mapping[str, Any]) -> str:
    cards = said.get("NetworkInterfaces") or ()
    found = [each["Ipv6Address"] for card in cards for each in card.get("Ipv6Addresses") or ()]
    return found[0] if found else ""


class Called(Protocol):
    """What may be a node of its cluster, and is called so."""

    @property
    def id(self) -> str:
        """The instance's."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        ...

    @property
    def is_master(self) -> bool:
        """Whether it was made to be the node that the others join."""
        ...


C = TypeVar("C", bound=Called)


def named(instances: Iterable[C], names: Mapping[str, str]) -> dict[str, C]:
    """Instances of one cluster by alias, the master first.

    An alias is a tag where few nodes were launched together, else it is in the laptop's journal. Whoever is in neither
    gets the lowest number that is free, in the order of launch: it is a node all the same.

    Args:
        instances: the oldest first.
        names: from the journal, alias by instance id.
    """
    found: dict[str, C] = {}
    nameless: list[C] = []
    for instance in instances:
        alias = MASTER if instance.is_master else instance.tags.get(tags.ALIAS) or names.get(instance.id, "")
        if alias and alias not in found:
            found[alias] = instance
        else:
            nameless.append(instance)
    number = 1
    for instance in nameless:
        while f"node{number:03d}" in found:
            number += 1
        found[f"node{number:03d}"] = instance
    return dict(sorted(found.items(), key=lambda item: (item[0] != MASTER, item[0])))
