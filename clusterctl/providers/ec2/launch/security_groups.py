"""The groups of a cluster: the security group with its ingress rules, and the placement group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.errors import ProviderError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.deletion import delete_resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.tags import ClusterKey

SSH_DESCRIPTION = "clusterctl: ssh"
"""Description of the rules for SSH; `allow-me` replaces these rules and no others."""
_LET_GO_S = 300.0
_LISTED_S = 30.0
"""How long EC2 may not list a group that exists."""
_FIRST_S, _LONGEST_S = 0.5, 4.0
_KINDS = (("placement_group", "PlacementGroups", "GroupName"), ("security_group", "SecurityGroups", "GroupId"))
"""By the end of their operations: the key of the answer, and what identifies one."""


@dataclass(frozen=True)
class IngressRule:
    """An ingress rule."""

    protocol: str
    first: int
    last: int
    network: str
    """As CIDR."""
    description: str

    def to_permission(self) -> dict[str, Any]:
        """Return the rule in the form that EC2 takes."""
        ranges = "Ipv6Ranges" if ":" in self.network else "IpRanges"
        cidr = "CidrIpv6" if ":" in self.network else "CidrIp"
        ports = {} if self.protocol == "-1" else {"FromPort": self.first, "ToPort": self.last}
        return {
            "IpProtocol": self.protocol,
            **ports,
            ranges: [{cidr: self.network, "Description": self.description}],
        }


def group_name(cluster: str) -> str:
    """Return the name of a cluster's security group; launch templates and placement group begin with it too."""
    return f"clusterctl-{cluster}"


def ensure_security_group(
    aws: Aws, cluster: str, vpc: str, *, rules: Sequence[IngressRule], resource_tags: Mapping[str, str]
) -> str:
    """Return the id of the cluster's security group, with these rules and one that lets members reach each other.

    Two calls for a new one.

    Args:
        aws: the account.
        cluster: its name.
        vpc: of the group.
        rules: ingress rules. Rules that exist already stay.
        resource_tags: tags of a new group.
    """
    try:
        group = aws.call(
            "ec2",
            "create_security_group",
            GroupName=group_name(cluster),
            Description=f"Nodes of the clusterctl cluster {cluster}",
            VpcId=vpc,
            TagSpecifications=tags.tag_specifications(resource_tags, "security-group"),
        )["GroupId"]
        existing: list[dict[str, Any]] = []
    except AwsError as exc:
        if exc.kind != Kind.TAKEN:
            raise
        described = _find_own_group(aws, cluster, vpc, uuid=resource_tags[tags.UUID], code=exc.code)
        group, existing = described["GroupId"], described["IpPermissions"]
    missing = _missing_permissions(str(group), existing, rules)
    for permission in _one_by_one(missing) if existing else [missing]:
        _authorize_ingress(aws, str(group), permission)
    return str(group)


def _find_own_group(aws: Aws, cluster: str, vpc: str, *, uuid: str, code: str) -> dict[str, Any]:
    """Return the group with the cluster's name. Raise ProviderError if it is another cluster's, or nobody's of ours."""
    name = group_name(cluster)
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    described = _wait_for_group(aws, name, filters, code=code)
    group = described["GroupId"]
    group_tags = tags.tags_of(described)
    if group_tags.get(tags.CLUSTER) != cluster:
        raise ProviderError(
            f"the security group {name} ({group}) was not made by clusterctl",
            remedy="choose another name for the cluster, or delete that group",
        )
    # Two laptops may start clusters of one name at the same time. Neither sees the instances of the other yet.
    other = group_tags.get(tags.UUID)
    if other != uuid:
        raise ProviderError(
            f"{cluster} is being started in {aws.region} by {group_tags.get(tags.OWNER) or 'somebody else'},"
            f" or has left {name} ({group})",
            remedy="choose another name; or, if that one is yours, end what is left of it in a home without files of"
            f" {cluster}: `CLUSTERCTL_HOME=$(mktemp -d) clusterctl terminate --id {other} {cluster}`",
        )
    return described


def _wait_for_group(aws: Aws, name: str, filters: list[dict[str, Any]], *, code: str = "") -> dict[str, Any]:
    """Return a group that exists. EC2 may refuse its name a moment before it lists the group."""
    for _ in Deadline.after(_LISTED_S).polls(_FIRST_S, longest_s=_LONGEST_S):
        for described in aws.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]:
            aws.newborn.add(described["GroupId"])  # it may be as new to the calls that follow
            return dict(described)
    raise ProviderError(
        f"AWS says that there is a security group {name}, and does not list it ({code})",
        remedy="run the same command again",
    )


def _missing_permissions(
    group: str, existing: Sequence[Mapping[str, Any]], rules: Iterable[IngressRule]
) -> list[dict[str, Any]]:
    """Return the rules that a group lacks, and the one that lets members reach each other if it lacks that."""
    missing = [rule.to_permission() for rule in rules if not _has_rule(existing, rule)]
    pairs = (pair for permission in existing for pair in permission.get("UserIdGroupPairs") or ())
    if not any(pair.get("GroupId") == group for pair in pairs):
        members = {"GroupId": group, "Description": "clusterctl: members"}
        missing.append({"IpProtocol": "-1", "UserIdGroupPairs": [members]})
    return missing


def _one_by_one(permissions: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return single permissions: a call with several of them fails as a whole if one exists already."""
    return [[permission] for permission in permissions]


def _authorize_ingress(aws: Aws, group: str, permissions: Sequence[Mapping[str, Any]]) -> None:
    if not permissions:
        return
    try:
        aws.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=list(permissions))
    except AwsError as exc:
        # botocore repeats a call whose answer was lost.
        if exc.kind != Kind.TAKEN:
            raise


def _has_rule(permissions: Iterable[Mapping[str, Any]], rule: IngressRule) -> bool:
    for permission in permissions:
        ports = (permission["IpProtocol"], permission.get("FromPort", rule.first), permission.get("ToPort", rule.last))
        if ports != (rule.protocol, rule.first, rule.last):
            continue
        networks = [ip_range.get("CidrIp") for ip_range in permission.get("IpRanges") or ()]
        networks += [ip_range.get("CidrIpv6") for ip_range in permission.get("Ipv6Ranges") or ()]
        if rule.network in networks:
            return True
    return False


def replace_ssh_rules(aws: Aws, cluster: ClusterKey, networks: Sequence[str]) -> list[str]:
    """Replace the networks that may reach SSH of a cluster's nodes; return the former ones.

    The new rules come first, so that a network in both lists never loses access.

    Raises:
        ProviderError: the cluster has no security group in this region.
    """
    answer = aws.call("ec2", "describe_security_groups", Filters=cluster.filters)
    if not answer["SecurityGroups"]:
        raise ProviderError(
            f"there is no security group of {cluster.name} in {aws.region}",
            remedy="check the name with `clusterctl list`, and AWS_REGION_NAME in [aws]",
        )
    former: list[str] = []
    for group in answer["SecurityGroups"]:
        permissions = group["IpPermissions"]
        rules = build_ssh_rules(networks)
        for rule in rules:
            if not _has_rule(permissions, rule):
                _authorize_ingress(aws, group["GroupId"], [rule.to_permission()])
        for permission in permissions:
            for old_rule in _ssh_rules_in(permission):
                former.append(old_rule.network)
                if old_rule.network not in networks:
                    aws.call(
                        "ec2",
                        "revoke_security_group_ingress",
                        GroupId=group["GroupId"],
                        IpPermissions=[old_rule.to_permission()],
                    )
    return former


def list_ssh_networks(aws: Aws, cluster: ClusterKey) -> list[str]:
    """Return the networks that may reach SSH of a cluster's nodes."""
    groups = aws.call("ec2", "describe_security_groups", Filters=cluster.filters)["SecurityGroups"]
    permissions = [permission for group in groups for permission in group["IpPermissions"]]
    return sorted({rule.network for permission in permissions for rule in _ssh_rules_in(permission)})


def _ssh_rules_in(permission: Mapping[str, Any]) -> list[IngressRule]:
    ip_ranges = [(ip_range, "CidrIp") for ip_range in permission.get("IpRanges") or ()]
    ip_ranges += [(ip_range, "CidrIpv6") for ip_range in permission.get("Ipv6Ranges") or ()]
    return build_ssh_rules(
        [ip_range[cidr] for ip_range, cidr in ip_ranges if ip_range.get("Description") == SSH_DESCRIPTION]
    )


def build_ssh_rules(networks: Iterable[str]) -> list[IngressRule]:
    """Return rules that let networks reach SSH."""
    return [IngressRule("tcp", 22, 22, network, SSH_DESCRIPTION) for network in networks]


def ensure_placement_group(aws: Aws, cluster: str, *, resource_tags: Mapping[str, str]) -> str:
    """Return the name of the cluster's placement group; make the group if it does not exist."""
    name = group_name(cluster)
    try:
        aws.call(
            "ec2",
            "create_placement_group",
            GroupName=name,
            Strategy="cluster",
            TagSpecifications=tags.tag_specifications(resource_tags, "placement-group"),
        )
    except AwsError as exc:
        if exc.kind != Kind.TAKEN:
            raise
    return name


def list_groups(aws: Aws, cluster: str) -> dict[str, dict[str, str]]:
    """Return the tags of all security groups and placement groups of a name, by id, whoever made them."""
    filters = [tags.filter_by(tags.CLUSTER, cluster)]
    return {
        str(group[name]): tags.tags_of(group)
        for kind, key, name in _KINDS
        for group in aws.call("ec2", f"describe_{kind}s", Filters=filters)[key]
    }


def delete_groups(aws: Aws, cluster: ClusterKey) -> list[str]:
    """Delete the cluster's placement group and security group; return those that are left, with the reason.

    EC2 keeps a security group in use for some time after its instances have ended.
    """
    leftovers = []
    for kind, key, name in _KINDS:
        try:
            groups = aws.call("ec2", f"describe_{kind}s", Filters=cluster.filters)[key]
        except AwsError as exc:  # a missing right to list one kind shall not keep the other
            leftovers.append(f"{kind.replace('_', ' ')}s ({exc.reason})")
            continue
        for group in groups:
            deadline = Deadline.after(_LET_GO_S)
            error = delete_resource(aws, f"delete_{kind}", deadline=deadline, **{name: group[name]})
            leftovers += [f"{group[name]} ({error.reason})"] if error else []
    return leftovers
