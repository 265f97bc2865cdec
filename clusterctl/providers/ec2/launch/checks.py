"""Checks of a plan before anything is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clusterctl.model import Problem
from clusterctl.providers.ec2.instances import LOGIN_USER

if TYPE_CHECKING:
    from clusterctl.model import Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.options import Options

_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")


def check_plan(plan: Plan, options: Options) -> list[Problem]:
    """Return the problems that can be seen without a call to AWS."""
    problems = []
    if not _NAME.fullmatch(plan.cluster):
        problems.append(
            Problem(f"{plan.cluster!r} cannot be in a security group's name", "use letters, digits, - and _")
        )
    if plan.user == LOGIN_USER:
        problems.append(
            Problem(f"the user {LOGIN_USER} is who sets nodes up", "set CLUSTER_USER to another name, such as your own")
        )
    for spec in plan.nodes:
        if not spec.types and spec.vcpus is None:
            text = "nodes need a type, or a number of processors to choose one by"
            problems.append(Problem(text, "set NODE_INSTANCE_TYPE = c7i.xlarge, c7a.xlarge, or VCPUS = 4"))
            break
    for volume in plan.volumes:
        if not volume.id:
            text = f"volume {volume.name}: DEVICE means nothing to instances"
            problems.append(Problem(text, f"set VOLUME_ID = vol-... in [volume {volume.name}]"))
    if options.ssm and not options.instance_profile:
        problems.append(
            Problem(
                "SSM needs an instance profile that lets the nodes talk to Systems Manager",
                "set INSTANCE_PROFILE to one with the policy AmazonSSMManagedInstanceCore",
            )
        )
    return problems


def check_account(aws: Aws, options: Options) -> list[Problem]:
    """Return the problems with resources that the template names and the account must have."""
    if not options.key_name:
        return []
    filters = [{"Name": "key-name", "Values": [options.key_name]}]
    if aws.call("ec2", "describe_key_pairs", Filters=filters)["KeyPairs"]:
        return []
    return [
        Problem(
            f"there is no key pair {options.key_name} in {aws.region}",
            f"`clusterctl createkey {options.key_name} --import-key FILE.pub` makes it of yours;"
            " or leave KEYNAME out: a cluster has a key of its own",
        )
    ]


def check_free_addresses(inputs: LaunchInputs, count: int) -> list[Problem]:
    """Return a problem if no subnet has free addresses for so many nodes."""
    most_free = max((subnet.free_addresses for subnet in inputs.subnets), default=0)
    if most_free >= count:
        return []
    return [
        Problem(
            f"no subnet has {count} addresses left; the largest has {most_free}",
            "name a larger one in SUBNET_ID, set ZONES = any, or ask for fewer nodes",
        )
    ]
