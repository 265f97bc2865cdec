"""Deleting one thing, with patience for what still holds on to it. What is gone already is success."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from clusterctl.providers.ec2.aws import AwsError

if TYPE_CHECKING:
    from clusterctl.providers.ec2.aws import Aws

_EVERY_S = 3.0
_GONE = (".NotFound", ".Unknown", ".Unavailable")
"""How the codes end that say: there is no such thing (any more). Without the dot it is AWS that is unavailable."""
_HELD = ("DependencyViolation", "InUse")
"""How the codes end that say: something still uses it."""


def is_gone(error: AwsError) -> bool:
    """Whether it says that there is no such thing (any more)."""
    return error.code.endswith(_GONE)


def delete(aws: Aws, operation: str, *, until: float, **named: str) -> AwsError | None:
    """Delete one thing; returns why it is left, None if it is not.

    Args:
        aws: the account.
        operation: EC2's, that deletes it.
        until: how long others may hold on to it, as a time of `time.monotonic`.
        named: the parameter of the operation that names it.
    """
    while True:
        try:
            aws.call("ec2", operation, **named)
        except AwsError as exc:
            if is_gone(exc):
                return None
            if not exc.code.endswith(_HELD) or time.monotonic() > until:
                return exc
            threading.Event().wait(_EVERY_S)
        else:
            return None
