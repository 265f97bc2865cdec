"""What accounts of many tests share: to load its knowledge of EC2 takes boto3 half a second, and clients take long."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clusterctl_standin.api.calls import Call

    from clusterctl.providers.ec2.aws import Aws


@dataclass
class SharedBoto:
    """A session, and its clients by where they go and how long they try."""

    sessions: list[Any] = field(default_factory=list)
    _clients: dict[tuple[str, bool], dict[tuple[str, str], Any]] = field(default_factory=dict)

    def lend(self, account: Aws) -> Aws:
        """Give an account what is shared, before it has made anything of its own."""
        account._sessions = self.sessions
        where = os.environ.get("AWS_ENDPOINT_URL", "")
        account._clients = self._clients.setdefault((where, account._hasty), {})
        return account

    def take_back(self, calls: Iterable[Call]) -> None:
        """Drop the clients if one of these calls failed: a client repeats so many in its life, and no more."""
        if not {call.status for call in calls} <= {200, 412}:  # 412: a dry run that would have succeeded
            self._clients.clear()


@cache
def shared_boto() -> SharedBoto:
    """The one of this process."""
    return SharedBoto()
