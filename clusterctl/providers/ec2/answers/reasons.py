"""Why instances ceased to run, in words for a user.

Source of the codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTERRUPTED = ("Server.SpotInstanceTermination", "Server.SpotInstanceShutdown")
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(_INTERRUPTED, "EC2 took the spot instance back"),
    "Client.UserInitiatedShutdown": "somebody ended or stopped it through EC2",
    "Client.InstanceInitiatedShutdown": "it shut itself down",
    "Server.InsufficientInstanceCapacity": "EC2 had no capacity for it",
    "Server.InternalError": "EC2 had an error of its own",
    "Server.ScheduledStop": "EC2 stopped it as it had announced",
    "Client.InternalError": "its disk could not be opened: may EC2 use the KMS key of the account's disks?",
    "Client.VolumeLimitExceeded": "the account's limit for disks was reached",
    "Client.InvalidSnapshot.NotFound": "the snapshot of its image does not exist",
}


def describe_reason(reason: str) -> str:
    """Return a StateReason in words; as it came where its code is not known."""
    return _WORDS.get(_code_of(reason), reason)


def is_interruption(reason: str) -> bool:
    """Return whether EC2 took the instance back."""
    return _code_of(reason) in _INTERRUPTED


def _code_of(reason: str) -> str:
    return reason.partition(":")[0].strip()
