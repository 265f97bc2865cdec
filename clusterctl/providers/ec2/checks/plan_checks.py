"""Checks of a plan that need no answer of AWS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Problem
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.instances import LOGIN_USER
from clusterctl.providers.ec2.launch import userdata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clusterctl.model import Plan
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
    """Yield what cloud-init would not run of the user's scripts, or EC2 would not take."""
    wrong = [problem for script in options.scripts if (problem := _script_problem(script))]
    yield from wrong
    if wrong or not options.scripts:
        return
    private, public = new_key_pair("")  # as long as those of a launch
    closed, end = not options.metadata_for_user, None if options.lifetime_h is None else 0
    try:
        userdata.encode_user_data(
            userdata.UserData(
                private, public, login_key=public, metadata_closed=closed, ends_at=end, scripts=options.scripts
            )
        )
    except ValueError as exc:
        yield Problem(f"USERDATA_SCRIPTS is too long: {exc}", "let the scripts fetch what is long")


def _script_problem(script: Path) -> Problem | None:
    try:
        text = script.read_text(encoding="utf-8")
    except OSError as exc:
        return Problem(f"{script} cannot be read: {exc.strerror or exc}", "correct USERDATA_SCRIPTS")
    except UnicodeDecodeError:
        return Problem(f"{script} is not in UTF-8", "save it in UTF-8")
    if not text.startswith("#!"):
        return Problem(f"{script} has no first line such as #!/bin/sh: nodes would not run it", "add one")
    return None
