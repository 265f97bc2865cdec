"""Deletion of one resource. It waits while others still use the resource; a missing resource counts as deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.providers.ec2.aws import AwsError

if TYPE_CHECKING:
    from clusterctl.clock import Deadline
    from clusterctl.providers.ec2.aws import Aws

_EVERY_S = 3.0
_GONE = (".NotFound", ".Unknown", ".Unavailable")
"""Ends of error codes for a resource that does not exist (any more). Without the dot: AWS itself is unavailable."""
_HELD = ("DependencyViolation", "InUse")
"""Ends of error codes for a resource that is still in use."""


def is_gone(error: AwsError) -> bool:
    """Return whether the error says that the resource does not exist (any more)."""
    return error.code.endswith(_GONE)


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
            if not exc.code.endswith(_HELD):
                return exc
            held = exc
        else:
            return None
    return held
