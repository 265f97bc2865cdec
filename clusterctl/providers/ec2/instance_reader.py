"""The one reader of DescribeInstances: from AWS's answer to a dataclass, which everything else uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2 import tags
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from clusterctl.providers.ec2.aws import Aws

LIVING_STATES = ("pending", "running", "stopping", "stopped")
"""Instance states, as EC2 names them, in which an instance exists and costs money."""
ENDING_STATE = "shutting-down"
ENDED_STATES = (ENDING_STATE, "terminated")
"""EC2 still lists instances about an hour after they ended."""
_PAGE = 1000


@dataclass(frozen=True)
class AttachedDisk:
    """A volume that is attached to an instance."""

    volume: str
    ends_with_instance: bool


@dataclass(frozen=True)
class Instance:
    """An instance as AWS describes it. Texts that AWS leaves out are empty."""

    id: str
    state: str
    """As EC2 names it."""
    launched_at: datetime | None
    """When this boot was requested, in UTC. It changes at a stop and start."""
    type: str
    image: str
    zone: str
    subnet: str
    vpc: str
    market: Market
    """`SPOT` or `ON_DEMAND`."""
    vcpus: int
    private_address: str
    public_address: str
    ipv6: str
    key_name: str
    groups: tuple[str, ...]
    """Ids of its security groups."""
    disks: tuple[AttachedDisk, ...]
    requires_token: bool
    """Its metadata service answers only to those who ask it for a token first."""
    reason: str
    """Reason of the present state, if AWS gives one."""
    transition: str
    """Why, and often when, it came into the present state."""
    spot_request: str
    """The id of its spot request."""
    tags: Mapping[str, str]

    @property
    def cluster(self) -> str:
        """The name of the cluster that the instance belongs to; empty if to none."""
        return self.tags.get(tags.CLUSTER, "")

    @property
    def is_master(self) -> bool:
        """Whether the instance was launched as the master."""
        return self.tags.get(tags.ROLE) == MASTER

    @property
    def volumes(self) -> tuple[str, ...]:
        """The ids of its disks."""
        return tuple(disk.volume for disk in self.disks)

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


def read_instances(
    aws: Aws, *filters: Mapping[str, Any], states: Iterable[str] | None = LIVING_STATES
) -> list[Instance]:
    """Return the instances of the region that match all filters, the oldest first. One call for 1000.

    Args:
        aws: the account and region.
        filters: entries of `Filters`, as EC2 takes them.
        states: only instances in these states; None for all.
    """
    in_states = [] if states is None else [{"Name": "instance-state-name", "Values": [*states]}]
    reservations = aws.pages(
        "ec2", "describe_instances", "Reservations", Filters=[*filters, *in_states], MaxResults=_PAGE
    )
    described = [_parse_instance(raw) for reservation in reservations for raw in reservation["Instances"]]
    return sorted(described, key=lambda instance: (format_utc(instance.launched_at), instance.id))


def _parse_instance(raw: Mapping[str, Any]) -> Instance:
    cpus = raw.get("CpuOptions") or {}
    return Instance(
        id=raw["InstanceId"],
        state=raw.get("State", {}).get("Name", ""),
        launched_at=raw.get("LaunchTime"),
        type=raw.get("InstanceType", ""),
        image=raw.get("ImageId", ""),
        zone=raw.get("Placement", {}).get("AvailabilityZone", ""),
        subnet=raw.get("SubnetId", ""),
        vpc=raw.get("VpcId", ""),
        market=Market.SPOT if raw.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND,
        vcpus=int(cpus.get("CoreCount", 1)) * int(cpus.get("ThreadsPerCore", 1)),
        private_address=raw.get("PrivateIpAddress") or "",
        public_address=raw.get("PublicIpAddress") or "",
        ipv6=_first_ipv6(raw),
        key_name=raw.get("KeyName", ""),
        groups=tuple(group["GroupId"] for group in raw.get("SecurityGroups") or ()),
        disks=_attached_disks(raw),
        requires_token=(raw.get("MetadataOptions") or {}).get("HttpTokens") == "required",
        reason=(raw.get("StateReason") or {}).get("Message", "") or raw.get("StateTransitionReason", ""),
        transition=raw.get("StateTransitionReason") or "",
        spot_request=raw.get("SpotInstanceRequestId") or "",
        tags=tags.tags_of(raw),
    )


def _attached_disks(raw: Mapping[str, Any]) -> tuple[AttachedDisk, ...]:
    disks = [mapping.get("Ebs") or {} for mapping in raw.get("BlockDeviceMappings") or ()]
    return tuple(
        AttachedDisk(disk["VolumeId"], bool(disk.get("DeleteOnTermination"))) for disk in disks if disk.get("VolumeId")
    )


def _first_ipv6(raw: Mapping[str, Any]) -> str:
    interfaces = raw.get("NetworkInterfaces") or ()
    addresses = [entry["Ipv6Address"] for interface in interfaces for entry in interface.get("Ipv6Addresses") or ()]
    return addresses[0] if addresses else ""
