"""Who the account takes us for: the owner of what we make there, whichever computer it is made from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.errors import ClusterctlError
from clusterctl.providers.ec2.pricing.background import DeadlineCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.aws import Aws

_PATIENCE_S = 5.0
_MOST_TEXT = 256
"""The length of a tag's value."""


class Caller:
    """Asks the account once, beside other calls. An account that does not say leaves the name of the user here."""

    def __init__(self, aws: Aws, fallback: str) -> None:
        """Ask nothing yet.

        Args:
            aws: the account.
            fallback: the user and the computer, for where the account does not say.
        """
        self._aws = aws
        self._fallback = fallback
        self._call: DeadlineCall[Mapping[str, Any]] | None = None
        self._name = ""
        self._account = ""
        self.trouble = ""
        """Why the account does not say who we are; empty as long as that is not known."""

    def begin(self) -> None:
        """Begin to ask, if nobody did."""
        if self._call is None and not self._name:
            self._call = DeadlineCall("owner", self._ask, deadline=Deadline.after(_PATIENCE_S))

    def name(self) -> str:
        """Return the owner, such as ``user/grace``; the name on this computer where the account does not say."""
        self.begin()
        if self._call is not None:
            try:
                caller = self._call.result()
                self._name = describe_arn(str(caller["Arn"])) or self._fallback
                self._account = str(caller["Account"])
            except (ClusterctlError, KeyError) as exc:
                self.trouble = str(exc)
                self._name = self._name or self._fallback
            self._call = None
        return self._name

    def describe(self) -> str:
        """Return who we are and in which account, in words."""
        name = self.name()
        return f"{name} of the account {self._account}" if self._account else f"{name} (the account does not say)"

    def _ask(self) -> Mapping[str, Any]:
        return self._aws.call("sts", "get_caller_identity")


def describe_arn(arn: str) -> str:
    """Return the part of an ARN that says who it is: ``user/grace``, ``role/Admin/grace@example.org``, ``root``.

    A role that people take by a single sign-on ends with random digits; its session has their name.
    """
    who = arn.split(":", 5)[-1]
    kind, _, rest = who.partition("/")
    role, _, session = rest.partition("/")
    if kind == "assumed-role":
        role = re.sub(r"_[0-9a-f]{16}$", "", role.removeprefix("AWSReservedSSO_"))
        who = f"role/{role}/{session}"
    return re.sub(r"[^\w .:/=+@-]", "-", who)[:_MOST_TEXT]
