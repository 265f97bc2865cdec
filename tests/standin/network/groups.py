"""What may not be deleted yet, or is not there: security groups, launch templates, key pairs.

From "Error codes for the Amazon EC2 API": DependencyViolation while an instance or interface has the group or another
group's rule names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..api import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud


def delete_security_group(cloud: Cloud, request: wire.Request) -> Mapping[str, Any] | wire.Answer:
    """Delete it, if nothing has it any more."""
    backend = cloud.moto.backend("ec2", request.region)
    asked = request.params.get("GroupId") or request.params.get("GroupName", "")
    group = backend.get_security_group_by_name_or_id(asked)
    if group is None:
        raise wire.AwsError("InvalidGroup.NotFound", f"The security group '{asked}' does not exist")
    if group.name == "default":
        message = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        raise wire.AwsError("CannotDelete", message)
    holders = [life for life in cloud.lives.of(request.region) if life.state != "terminated" and _has(life, group)]
    for life in holders:
        life.look()
    if (
        holders
        or any(group in nic.group_set for nic in backend.enis.values())
        or any(_names(other, group) for by_id in backend.groups.values() for other in by_id.values() if other != group)
    ):
        raise wire.AwsError("DependencyViolation", f"resource {group.id} has a dependent object")
    return cloud.moto.forward(request)


def _has(life: Any, group: Any) -> bool:
    return any(group in nic.group_set for nic in life.instance.nics.values())


def _names(other: Any, group: Any) -> bool:
    return any(rule.source_group.get("GroupId") == group.id for rule in [*other.ingress_rules, *other.egress_rules])


def delete_launch_template(cloud: Cloud, request: wire.Request) -> Mapping[str, Any] | wire.Answer:
    """Delete it; one that is not there is an error that says how it was named."""
    _check_templates(cloud, request.region, ids=[request.params.get("LaunchTemplateId")])
    return cloud.moto.forward(request)


def describe_launch_templates(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """moto leaves out ids that it does not know, and all beyond the first fifteen; EC2 has an error, and pages."""
    _check_templates(cloud, request.region, ids=request.params.get("LaunchTemplateIds") or [])
    asked = {key: value for key, value in request.params.items() if key not in ("MaxResults", "NextToken")}
    found = cloud.moto.call("ec2", request.action, request.region, {**asked, "MaxResults": 1_000_000})
    page, token = wire.page(found["LaunchTemplates"], request, most=200)
    return {"LaunchTemplates": page, "NextToken": token}


def _check_templates(cloud: Cloud, region: str, *, ids: list[str | None]) -> None:
    for identity in ids:
        if identity and identity not in cloud.moto.backend("ec2", region).launch_templates:
            raise wire.AwsError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {identity}, does not exist.",
            )


HANDLERS = {
    ("ec2", "DeleteSecurityGroup"): delete_security_group,
    ("ec2", "DeleteLaunchTemplate"): delete_launch_template,
    ("ec2", "DescribeLaunchTemplates"): describe_launch_templates,
}
