"""The groups of a cluster: the security group, which lets in who may and nobody else, and the placement group."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.deletion import delete

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws

SSH = "clusterctl: ssh"
"""What the rules for SSH are described as; `allow-me` replaces these and no others."""
_LET_GO_S = 300.0


@dataclass(frozen=True)
class Rule:
    """Somebody who is let in."""

    protocol: str
    first: int
    last: int
    network: str
    """CIDR."""
    description: str

    def parameters(self) -> dict[str, Any]:
        """As EC2 takes it."""
        ranges = "Ipv6Ranges" if ":" in self.network else "IpRanges"
        cidr = "CidrIpv6" if ":" in self.network else "CidrIp"
        ports = {} if self.protocol == "-1" else {"FromPort": self.first, "ToPort": self.last}
        return {
            "IpProtocol": self.protocol,
            **ports,
            ranges: [{cidr: self.network, "Description": self.description}],
        }


def group_name(cluster: str) -> str:
    """The name of a cluster's security group, launch templates and placement group begins so."""
    return f"clusterctl-{cluster}"


def ensure_group(aws: Aws, cluster: str, vpc: str, *, rules: Sequence[Rule], marks: Mapping[str, str]) -> str:
    """The id of the cluster's security group, with these rules and what lets members reach each other.

    Two calls for a new one.

    Args:
        aws: the account.
        cluster: its name.
        vpc: where.
        rules: who is let in; those that are there already stay.
        marks: tags of a new one.
    """
    name = group_name(cluster)
    try:
        group = aws.call(
            "ec2",
            "create_security_group",
            GroupName=name,
            Description=f"Nodes of the clusterctl cluster {cluster}",
            VpcId=vpc,
            TagSpecifications=tags.specifications(marks, "security-group"),
        )["GroupId"]
        there: list[dict[str, Any]] = []
    except AwsError as exc:
        if exc.code != "InvalidGroup.Duplicate":
            raise
        filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
        (found,) = aws.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
        group, there = found["GroupId"], found["IpPermissions"]
        if tags.tags_of(found).get(tags.CLUSTER) != cluster:
            raise ProviderError(
                f"the security group {name} ({group}) was not made by clusterctl",
                remedy="choose another name for the cluster, or delete that group",
            ) from exc
        # Two laptops may start clusters of one name at the same time: neither sees instances of the other then.
        by = tags.tags_of(found).get(tags.OWNER, "")
        if by != marks.get(tags.OWNER, by):
            raise ProviderError(
                f"{cluster} is being started in {aws.region} by {by or 'somebody else'}, or has left {name} ({group})",
                remedy=f"choose another name, or end it: `clusterctl terminate {cluster}`",
            ) from exc
    members = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "Description": "clusterctl: members"}]}
    wanted = [rule.parameters() for rule in rules if not _has(there, rule)]
    if not any(pair.get("GroupId") == group for each in there for pair in each.get("UserIdGroupPairs") or ()):
        wanted.append(members)
    for permission in _apart(wanted) if there else [wanted]:
        _authorize(aws, str(group), permission)
    return str(group)


def _apart(permissions: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """One by one: of several together, one that is there already has all of them refused."""
    return [[permission] for permission in permissions]


def _authorize(aws: Aws, group: str, permissions: Sequence[Mapping[str, Any]]) -> None:
    if not permissions:
        return
    try:
        aws.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=list(permissions))
    except AwsError as exc:
        # An answer that was lost on the way makes the same call be made again.
        if exc.code != "InvalidPermission.Duplicate":
            raise


def _has(there: Iterable[Mapping[str, Any]], rule: Rule) -> bool:
    for each in there:
        same = (each["IpProtocol"], each.get("FromPort", rule.first), each.get("ToPort", rule.last))
        if same != (rule.protocol, rule.first, rule.last):
            continue
        networks = [given.get("CidrIp") for given in each.get("IpRanges") or ()]
        networks += [given.get("CidrIpv6") for given in each.get("Ipv6Ranges") or ()]
        if rule.network in networks:
            return True
    return False


def replace_ssh(aws: Aws, cluster: str, networks: Sequence[str]) -> list[str]:
    """Let these networks reach SSH of a cluster's nodes in the place of those that may now; returns the former ones.

    The new ones come first, so that nobody who may stay is ever shut out.

    Raises:
        ProviderError: there is no such cluster here.
    """
    found = aws.call("ec2", "describe_security_groups", Filters=[tags.filter_by(tags.CLUSTER, cluster)])
    if not found["SecurityGroups"]:
        raise ProviderError(
            f"there is no security group of {cluster} in {aws.region}",
            remedy="check the name with `clusterctl list`, and AWS_REGION_NAME in [aws]",
        )
    before: list[str] = []
    for group in found["SecurityGroups"]:
        there = group["IpPermissions"]
        rules = ssh_rules(networks)
        for rule in rules:
            if not _has(there, rule):
                _authorize(aws, group["GroupId"], [rule.parameters()])
        for permission in there:
            for old in _ssh_of(permission):
                before.append(old.network)
                if old.network not in networks:
                    aws.call(
                        "ec2",
                        "revoke_security_group_ingress",
                        GroupId=group["GroupId"],
                        IpPermissions=[old.parameters()],
                    )
    return before


def _ssh_of(permission: Mapping[str, Any]) -> list[Rule]:
    given = [(each, "CidrIp") for each in permission.get("IpRanges") or ()]
    given += [(each, "CidrIpv6") for each in permission.get("Ipv6Ranges") or ()]
    return ssh_rules([each[cidr] for each, cidr in given if each.get("Description") == SSH])


def ssh_rules(networks: Iterable[str]) -> list[Rule]:
    """Rules that let networks reach SSH."""
    return [Rule("tcp", 22, 22, network, SSH) for network in networks]


def ensure_placement(aws: Aws, cluster: str, *, marks: Mapping[str, str]) -> str:
    """The name of the cluster's placement group, made if it is not there."""
    name = group_name(cluster)
    try:
        aws.call(
            "ec2",
            "create_placement_group",
            GroupName=name,
            Strategy="cluster",
            TagSpecifications=tags.specifications(marks, "placement-group"),
        )
    except AwsError as exc:
        if exc.code != "InvalidPlacementGroup.Duplicate":
            raise
    return name


def remove_groups(aws: Aws, cluster: str, *, uuid: str = "") -> list[str]:
    """Delete the cluster's placement group and security group; returns what is left, and why.

    With a `uuid` only those of this very cluster.

    EC2 lets go of a security group some time after the instances in it have ended.
    """
    left = []
    mine = [tags.filter_by(tags.CLUSTER, cluster), *([tags.filter_by(tags.UUID, uuid)] if uuid else [])]
    kinds = (("placement_group", "PlacementGroups", "GroupName"), ("security_group", "SecurityGroups", "GroupId"))
    for kind, key, name in kinds:
        try:
            found = aws.call("ec2", f"describe_{kind}s", Filters=mine)[key]
        except AwsError as exc:  # what one may not see shall not keep the rest
            left.append(f"{kind.replace('_', ' ')}s ({exc.code})")
            continue
        for group in found:
            until = time.monotonic() + _LET_GO_S
            error = delete(aws, f"delete_{kind}", until=until, **{name: group[name]})
            left += [f"{group[name]} ({error.code})"] if error else []
    return left
