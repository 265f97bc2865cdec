"""Deletion of one resource. It waits while others still use the resource; a missing resource counts as deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.providers.ec2.answers.rows import Kind, Road
from clusterctl.providers.ec2.aws import AwsError

if TYPE_CHECKING:
    from clusterctl.clock import Deadline
    from clusterctl.providers.ec2.aws import Aws

_EVERY_S = 3.0


def is_gone(error: AwsError) -> bool:
    """Return whether the error says that the resource does not exist (any more)."""
    return error.kind in {Kind.ABSENT, Kind.IMAGE}


def delete_resource(aws: Aws, operation: str, *, deadline: Deadline, **named: str) -> AwsError | None:
    """Delete one resource; return the error that kept it, or None.

    Args:
        aws: the account.
        operation: the EC2 operation that deletes it.
        deadline: deadline for others to stop using it.
        named: the parameter of the operation that identifies the resource.
    """
    held = None
    for _ in deadline.polls(_EVERY_S):
        try:
            aws.call("ec2", operation, **named)
        except AwsError as exc:
            if is_gone(exc):
                return None
            if exc.row.road != Road.LET_GO:
                return exc
            held = exc
        else:
            return None
    return held
