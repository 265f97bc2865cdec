"""Audit of a cluster on EC2: settings that matter for safety, and leftovers after its end. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterctl.providers.audits import Audit, AuditedDisk, AuditedIngressRule, AuditedMachine
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import inventory
from clusterctl.providers.ec2.instance_reader import read_instances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.tags import ClusterKey

_OUR_TAGS = frozenset({tags.CLUSTER, tags.UUID, tags.OWNER})
_DISKS_AT_ONCE = 200
"""Most values that EC2 takes in one filter."""


def audit_cluster(aws: Aws, cluster: ClusterKey) -> Audit:
    """Return the settings of the cluster's instances, disks and security groups. Three calls."""
    instances = read_instances(aws, *cluster.filters)
    groups = aws.call("ec2", "describe_security_groups", Filters=cluster.filters)["SecurityGroups"]
    return Audit(
        machines=tuple(_audit_machine(instance) for instance in instances),
        disks=tuple(_audit_disk(raw) for raw in _attached_disks(aws, [instance.id for instance in instances])),
        ingress_rules=tuple(
            ingress for group in groups for rule in group["IpPermissions"] for ingress in _audit_ingress(rule, group)
        ),
    )


def list_leftovers(aws: Aws, cluster: ClusterKey) -> list[str]:
    """Return resources with the cluster's tags that still exist, and notes on what could not be listed."""
    region = inventory.list_region_resources(aws)
    lines = [f"{resource.kind.value} {resource.id}" for resource in region.resources if cluster.owns(resource.tags)]
    return [*lines, *region.failures, *region.notes]


def _audit_machine(instance: Instance) -> AuditedMachine:
    tagged = instance.tags.keys() >= _OUR_TAGS
    return AuditedMachine(instance.id, tagged=tagged, requires_token=instance.requires_token)


def _attached_disks(aws: Aws, instances: list[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the attached disks, with or without tags."""
    for start in range(0, len(instances), _DISKS_AT_ONCE):
        batch = instances[start : start + _DISKS_AT_ONCE]
        yield from aws.pages(
            "ec2", "describe_volumes", "Volumes", Filters=[{"Name": "attachment.instance-id", "Values": batch}]
        )


def _audit_disk(raw: Mapping[str, Any]) -> AuditedDisk:
    tagged = tags.tags_of(raw).keys() >= _OUR_TAGS
    return AuditedDisk(raw["VolumeId"], tagged=tagged, encrypted=bool(raw.get("Encrypted")))


def _audit_ingress(rule: Mapping[str, Any], group: Mapping[str, Any]) -> Iterator[AuditedIngressRule]:
    ports = _port_range(rule)
    for source in rule.get("IpRanges") or ():
        yield AuditedIngressRule(ports, source["CidrIp"])
    for source in rule.get("Ipv6Ranges") or ():
        yield AuditedIngressRule(ports, source["CidrIpv6"])
    for source in rule.get("UserIdGroupPairs") or ():
        yield AuditedIngressRule(ports, "members" if source["GroupId"] == group["GroupId"] else source["GroupId"])
    for source in rule.get("PrefixListIds") or ():
        yield AuditedIngressRule(ports, source["PrefixListId"])


def _port_range(rule: Mapping[str, Any]) -> str:
    if rule["IpProtocol"] == "-1":
        return "all"
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return f"{rule['IpProtocol']} {first}" + (f"-{last}" if last != first else "")
