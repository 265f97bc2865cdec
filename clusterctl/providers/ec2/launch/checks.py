"""Checks of a plan before anything is made."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from clusterctl.model import Problem
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.instances import LOGIN_USER
from clusterctl.providers.ec2.launch import userdata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.model import Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.options import Options

_MOST_TAGS = 37
"""Most tags of the user on one resource: EC2 takes 50, and 13 are clusterctl's."""
_KEY_LENGTH, _VALUE_LENGTH = 128, 256
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
    problems += [*_tag_problems(options), *_script_problems(options)]
    if options.ssm and not options.instance_profile:
        problems.append(
            Problem(
                "SSM needs an instance profile that lets the nodes talk to Systems Manager",
                "set INSTANCE_PROFILE to one with the policy AmazonSSMManagedInstanceCore",
            )
        )
    return problems


def _tag_problems(options: Options) -> Iterator[Problem]:
    """Yield what EC2 would refuse of the user's own tags.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
    """
    if len(options.tags) > _MOST_TAGS:
        text = f"TAGS has {len(options.tags)} tags, and a resource has room for {_MOST_TAGS} beside clusterctl's own"
        yield Problem(text, "use fewer")
    for key, value in options.tags.items():
        if not 0 < len(key) <= _KEY_LENGTH or len(value) > _VALUE_LENGTH:
            text = f"the tag {key[:40]} is too long: EC2 takes {_KEY_LENGTH} characters and a value of {_VALUE_LENGTH}"
            yield Problem(text, "shorten it in TAGS")
        elif key.lower().startswith(("aws:", tags.PREFIX)):
            yield Problem(f"the tag {key} belongs to AWS or to clusterctl", "choose another key in TAGS")


def _script_problems(options: Options) -> Iterator[Problem]:
    """Yield what cloud-init would not run of the user's scripts."""
    for script in options.scripts:
        try:
            text = script.read_text(encoding="utf-8")
        except OSError as exc:
            yield Problem(f"{script} cannot be read: {exc.strerror or exc}", "correct USERDATA_SCRIPTS")
        except UnicodeDecodeError:
            yield Problem(f"{script} is not in UTF-8", "save it in UTF-8")
        else:
            if not text.startswith("#!"):
                yield Problem(f"{script} has no first line such as #!/bin/sh: nodes would not run it", "add one")
            elif len(gzip.compress(text.encode())) > userdata.LIMIT_BYTES:
                most = userdata.LIMIT_BYTES
                yield Problem(f"{script} is too long: EC2 takes {most} bytes", "let it fetch what is long")


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
