"""How a cluster is kept, as EC2 tells it, and what is left of one that has ended. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterctl.providers.audits import Audit, AuditedDisk, AuditedDoor, AuditedMachine
from clusterctl.providers.ec2 import instances as records
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.providers.ec2.aws import Aws

_MARKS = frozenset({tags.CLUSTER, tags.UUID, tags.OWNER})
_DISKS_AT_ONCE = 200
"""So many values EC2 takes in one filter."""


def audit(aws: Aws, cluster: str) -> Audit:
    """How it is kept. Three calls."""
    mine = [tags.filter_by(tags.CLUSTER, cluster)]
    living = [*mine, {"Name": "instance-state-name", "Values": [*records.LIVING]}]
    reservations = aws.pages("ec2", "describe_instances", "Reservations", Filters=living)
    instances = [each for reservation in reservations for each in reservation["Instances"]]
    groups = aws.call("ec2", "describe_security_groups", Filters=mine)["SecurityGroups"]
    return Audit(
        machines=tuple(_machine(each) for each in instances),
        disks=tuple(_disk(each) for each in _disks(aws, [each["InstanceId"] for each in instances])),
        doors=tuple(door for group in groups for rule in group["IpPermissions"] for door in _doors(rule, group)),
    )


def left(aws: Aws, cluster: str) -> list[str]:
    """What has the cluster's tag and has not ended; and what could not be looked at, which may hide something."""
    found = inventory.look(aws)
    mine = [f"{each.kind.value} {each.id}" for each in found.resources if each.cluster == cluster]
    return [*mine, *found.failures, *found.notes]


def _marked(said: Mapping[str, Any]) -> bool:
    return tags.tags_of(said).keys() >= _MARKS


def _machine(said: Mapping[str, Any]) -> AuditedMachine:
    tokens = said.get("MetadataOptions", {}).get("HttpTokens") == "required"
    return AuditedMachine(said["InstanceId"], marked=_marked(said), tokens=tokens)


def _disks(aws: Aws, instances: list[str]) -> Iterator[Mapping[str, Any]]:
    """Those that are attached, whether tagged or not."""
    for first in range(0, len(instances), _DISKS_AT_ONCE):
        part = instances[first : first + _DISKS_AT_ONCE]
        yield from aws.pages(
            "ec2", "describe_volumes", "Volumes", Filters=[{"Name": "attachment.instance-id", "Values": part}]
        )


def _disk(said: Mapping[str, Any]) -> AuditedDisk:
    return AuditedDisk(said["VolumeId"], marked=_marked(said), encrypted=bool(said.get("Encrypted")))


def _doors(rule: Mapping[str, Any], group: Mapping[str, Any]) -> Iterator[AuditedDoor]:
    ports = _ports(rule)
    for each in rule.get("IpRanges") or ():
        yield AuditedDoor(ports, each["CidrIp"])
    for each in rule.get("Ipv6Ranges") or ():
        yield AuditedDoor(ports, each["CidrIpv6"])
    for each in rule.get("UserIdGroupPairs") or ():
        yield AuditedDoor(ports, "members" if each["GroupId"] == group["GroupId"] else each["GroupId"])
    for each in rule.get("PrefixListIds") or ():
        yield AuditedDoor(ports, each["PrefixListId"])


def _ports(rule: Mapping[str, Any]) -> str:
    if rule["IpProtocol"] == "-1":
        return "all"
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return f"{rule['IpProtocol']} {first}" + (f"-{last}" if last != first else "")
