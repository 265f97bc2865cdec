"""What is known of a detached map, and who keeps it."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNNING, DONE, FAILED, CANCELLED, HALTED, INTERRUPTED = (
    "running",
    "done",
    "failed",
    "cancelled",
    "halted",
    "interrupted",
)
"""`halted`: it cannot write what comes out. `interrupted`: its process has ended, killed or with its machine."""
_STATES = {RUNNING, DONE, FAILED, CANCELLED, HALTED, INTERRUPTED}
_LONGEST = 2000
"""Of what a node says of itself."""
GOES_ON = {INTERRUPTED, HALTED}
"""States from which it goes on by itself when somebody asks for it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class DetachedError(ClusterctlError):
    """A detached map cannot be begun, or what it did cannot be had."""


@dataclass(frozen=True)
class Order:
    """A map as it is handed over. Function and items are pickled."""

    name: str
    function: bytes
    items: bytes
    digest: str
    """Of the items: by it a map of the same name is known to be the same one."""
    total: int
    star: int
    most: int | None
    options: Mapping[str, Any]
    """`MapOptions`, by name."""

    def head(self) -> dict[str, object]:
        """Return all but the function and the items, for JSON."""
        return {
            "digest": self.digest,
            "total": self.total,
            "star": self.star,
            "most": self.most,
            "options": dict(self.options),
        }


@dataclass(frozen=True)
class Status:
    """How a map is."""

    name: str
    state: str
    total: int
    done: int
    """So many items have an outcome."""
    digest: str
    began: float
    """Seconds since 1970, by the clock of the master."""
    detail: str = ""
    """What it waits for, or why it does not go on."""
    reruns: int = 0
    """So many items went out again since their engine ended."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes by itself."""
        return self.state in {DONE, FAILED, CANCELLED}

    def as_json(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def parse_status(said: object) -> Status:
    """Return the status that a node has told. What it says is not believed further than it can be shown.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(said, dict):
        raise ValueError("no status")  # noqa: TRY004  whatever it was, it is no status
    try:
        status = Status(**said)
    except TypeError as exc:
        raise ValueError("no status") from exc
    words = (status.name, status.state, status.digest, status.detail)
    counts = (status.total, status.done, status.reruns, status.began)
    if not all(isinstance(word, str) for word in words) or not all(isinstance(count, int | float) for count in counts):
        raise ValueError("no status")
    if status.state not in _STATES or not _NAME.fullmatch(status.name) or not status.digest.isalnum():
        raise ValueError("no status")
    return replace(status, detail=clean_text(status.detail[:_LONGEST]))


class Store(Protocol):
    """Who keeps detached maps: the master of a cluster, from near or from far."""

    def submit(self, order: Order) -> Status:
        """Take a map and begin it. One of the same name and the same items goes on."""

    def look(self, name: str) -> Status:
        """Return how a map is."""

    def read(self, name: str, offset: int, wait_s: float) -> tuple[Status, bytes]:
        """Return how a map is, and some of its records from there on; wait so long for the first."""

    def resume(self, name: str) -> Status:
        """Have a map go on whose process has ended."""

    def cancel(self, name: str) -> Status:
        """End a map; what is done is kept."""

    def forget(self, name: str) -> None:
        """Delete a map that does not run, with all that it did."""

    def failure(self, name: str) -> bytes:
        """Return the error, pickled by `pack_failure`, with which a map has failed."""

    def log(self, name: str) -> str:
        """Return the end of what its tasks have printed, and its process."""

    def all(self) -> list[Status]:
        """Return all maps, the newest one last."""


def new_name() -> str:
    """Return a name that nobody else has."""
    return secrets.token_hex(5)[:9]


def check_name(name: str) -> str:
    """Return a name of a map.

    Raises:
        UsageError: it can be none.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} can be no name of a map",
            remedy="letters, digits, dots, dashes and underscores will do, 64 at most",
        )
    return name
