"""What a node that will be taken and the controller have agreed on, so that its engines are given nothing new."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUEST = "clusterctl_drain_request"
"""To the hub. `engines` are the ids of engines; `over`: their node stays after all. `for_s`, where it is said: it is
over by itself after so many seconds. Without ids it only asks."""
REPLY = "clusterctl_drain_reply"
"""`draining` are the ids of all engines that are given nothing new."""
KEY = "clusterctl_draining"
"""In a notice of the hub to all clients: the uuids of all engines that are given nothing new."""
_NAME = b"clusterctl-draining"


def as_uuid(uuids: Iterable[str]) -> str:
    """Return what stands in the notice where the uuid of an engine is, which is all that a task scheduler reads."""
    return " ".join([_NAME.decode(), *uuids])


def read_uuids(uuid: bytes) -> set[bytes] | None:
    """Return the uuids that `as_uuid` has put together; None for the uuid of an engine."""
    name, *uuids = uuid.split(b" ")
    return set(uuids) if name == _NAME else None
