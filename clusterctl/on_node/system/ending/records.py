"""The files of an end, typed. What cannot be read as agreed is as good as not there."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .clocks import Moment

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T", bound="Terms | State | Keep | Beat | Order | Word")
_LONGEST = 300
"""Letters of a text that somebody else has written."""
_MOST_S = 400 * 86_400.0
AWAKE, WARNED, ENDING, ENDED = "awake", "warned", "ending", "ended"
_PHASES = (AWAKE, WARNED, ENDING, ENDED)


@dataclass(frozen=True)
class Terms:
    """On which terms the cluster ends. The laptop writes them; only root can, on a machine."""

    nonce: str = ""
    """Another one at each `start`."""
    life: str = ""
    """Which life LIFETIME counts: the machine and its boot."""
    cluster: str = ""
    idle_s: float = 0.0
    """0: never; so are the next ones."""
    lifetime_s: float = 0.0
    client_s: float = 0.0
    """So long without a beat of the program that the cluster was started for."""
    max_usd: float = 0.0
    hourly_usd: float = 0.0
    spent_usd: float = 0.0
    """Spent when the terms were written."""
    warn_s: float = 300.0
    lasts: bool = True
    """Whether the master's disk stays."""
    powers_off: bool = False
    """Whether machines are switched off; else their services stop."""
    stops: bool = False
    """Whether nodes that are no machines stop themselves, too: containers do."""
    ignored: tuple[str, ...] = ()
    """Causes that are no work."""
    notify: str = ""
    on_end: str = ""
    on_end_s: float = 600.0
    address: str = ""
    """Where workers reach this master."""
    lost_s: float = 0.0
    """Workers that have not reached it for so long end."""
    workers: tuple[str, ...] = ()
    programs: tuple[Any, ...] = ()
    """What plugins say of who works: ``cause``, ``program`` and ``values`` of each."""

    @property
    def every_s(self) -> float:
        """How often to look."""
        waits = [wait_s for wait_s in (self.idle_s, self.lifetime_s, self.client_s) if wait_s]
        return max(0.5, min(15.0, *(wait_s / 10 for wait_s in waits))) if waits else 15.0

    def warning_s(self, wait_s: float) -> float:
        """Return how long before the end of a wait to warn: not before half of it is over."""
        return min(self.warn_s, wait_s / 2)


@dataclass(frozen=True)
class State:
    """What the master has decided, and all that it must remember for it: durations, no times of the clock."""

    phase: str = AWAKE
    why: str = ""
    nonce: str = ""
    life: str = ""
    boot: str = ""
    awake_s: float = 0.0
    up_s: float = 0.0
    """These three are the moment of the last look."""
    busy: str = ""
    """Who works; empty: nobody."""
    idle_s: float = 0.0
    lived_s: float = 0.0
    terms_s: float = 0.0
    """Since the terms were written."""
    client_s: float = 0.0
    client: str = ""
    """The last beat."""
    kept_s: float = 0.0
    """Is kept for so long still."""
    keep: str = ""
    """The id of the last wish to keep."""
    young_s: float = 0.0
    """For so long still it waits for the `start` that has booted it, and brings new terms."""
    due_s: float = -1.0
    """Ends so long after the last look, if nothing changes; negative: no end is in sight."""
    warned_s: float = 0.0
    """So long ago it was warned."""
    ending_s: float = 0.0
    """For so long it ends, as far as it was seen to."""
    tries: int = 0
    """How often ON_END has failed."""
    ran: bool = False
    """Whether ON_END has run."""

    @property
    def looked(self) -> Moment:
        """The moment of the last look."""
        return Moment(self.boot, self.awake_s, self.up_s)

    def told(self, now: Moment) -> dict[str, Any]:
        """Return what `status` shows."""
        awake_s, up_s = now.since(self.looked)
        return {
            "phase": self.phase,
            "why": self.why,
            "busy": self.busy,
            "idle_s": 0.0 if self.busy else self.idle_s + awake_s,
            "kept_s": max(0.0, self.kept_s - up_s),
            "ends_in_s": None if self.due_s < 0 or self.phase == ENDED else max(0.0, self.due_s - up_s),
            "keep": self.keep,
            "nonce": self.nonce,
        }


@dataclass(frozen=True)
class Keep:
    """Somebody's wish that the cluster stays. He is the cluster user, or who can log in as him."""

    id: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Beat:
    """A sign of life of the program that a cluster was started for."""

    id: str = ""
    count: int = 0


@dataclass(frozen=True)
class Order:
    """What the master tells its workers, by the home that they share."""

    id: str = ""
    end: bool = False
    address: str = ""
    lost_s: float = 0.0
    every_s: float = 15.0
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Word:
    """What a worker tells the master."""

    busy: str = ""
    count: int = 0
    """Another number each time: the master believes no clock of a worker's."""
    ended: str = ""
    """The id of the order that it follows."""


def parse(kind: type[T], text: str) -> T | None:
    """Return the record in a text; None where it is none. Fields that this version does not know are left out."""
    try:
        said = json.loads(text)
        if not isinstance(said, dict):
            return None
        present = {
            known.name: _checked(said[known.name], known.default) for known in fields(kind) if known.name in said
        }
        record = kind(**present)
    except (ValueError, TypeError, RecursionError):
        return None
    return replace(record, phase=AWAKE) if isinstance(record, State) and record.phase not in _PHASES else record


def _checked(value: Any, default: Any) -> Any:
    """Return a value of the type that its field has."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError("no yes or no")  # noqa: TRY004  whatever it is, it is no such record
        return value
    if isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError("no number")
        return type(default)(max(-_MOST_S, min(_MOST_S, value)))
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise ValueError("no list")  # noqa: TRY004
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError("no text")  # noqa: TRY004
    return value


def plain(text: str) -> str:
    """Return a text of somebody else's as one short line without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST])


def dump(record: Any) -> str:
    """Return the text of a record."""
    return json.dumps(asdict(record))


def read(kind: type[T], path: Path) -> T | None:
    """Return the record in a file of this node's own; None where there is none."""
    try:
        return parse(kind, path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write(path: Path, record: Any) -> None:
    """Write a record whole or not at all.

    Raises:
        OSError: the disk is full, or worse.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(dump(record), encoding="utf-8")
    draft.replace(path)
