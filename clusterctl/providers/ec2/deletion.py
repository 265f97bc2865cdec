"""Deletion of one resource. It waits while others still use the resource; a missing resource counts as deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clusterctl.providers.ec2.answers.rows import Kind, Road
from clusterctl.providers.ec2.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.clock import Deadline
    from clusterctl.providers.ec2.aws import Aws

_EVERY_S = 3.0
_ENDING_STATES = ("deleting", "deleted", "cancelled", "closed")
"""In which EC2 lists volumes, placement groups and requests for spot instances for a while."""
_WORD_BEGINS = re.compile("(?<!^)(?=[A-Z])")


def is_gone(error: AwsError) -> bool:
    """Return whether the error says that the resource does not exist (any more)."""
    return error.kind in {Kind.ABSENT, Kind.IMAGE}


def delete_resource(aws: Aws, operation: str, *, deadline: Deadline, **named: Any) -> AwsError | None:
    """Delete one resource; return the error that kept it, or None.

    An answer that it is not there is believed only where EC2 does not list it either.

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
                if not _is_listed(aws, operation, named):
                    return None
            elif exc.row.road != Road.LET_GO:
                return exc
            held = exc
        else:
            return None
    return held


def _is_listed(aws: Aws, deletion: str, named: Mapping[str, Any]) -> bool:
    """Return whether EC2 lists a resource. Its filters have the names of the parameters, in other letters."""
    kind = f"{deletion.partition('_')[2].removesuffix('s')}s"
    filters = [
        {
            "Name": _WORD_BEGINS.sub("-", name.removesuffix("s")).lower(),
            "Values": value if isinstance(value, list) else [value],
        }
        for name, value in named.items()
    ]
    try:
        answer = aws.call("ec2", f"describe_{kind}", Filters=filters)
    except AwsError:
        return True  # nobody knows: it is named as left
    listed = answer["".join(word.capitalize() for word in kind.split("_"))]
    return any(resource.get("State") not in _ENDING_STATES for resource in listed)
