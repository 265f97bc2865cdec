"""The events that an operation reports while it works."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EventKind(str, Enum):
    """The kinds of events, which say how to show them."""

    STEP = "step"
    """A new phase: ``>>> text``."""
    PROGRESS = "progress"
    """`done` of `total` in the phase `text`."""
    NOTE = "note"
    """Information, nothing to do."""
    WARNING = "warning"
    """A warning that the user should see."""


@dataclass(frozen=True)
class Event:
    """One report of an operation. The cli shows it; no module below the cli prints."""

    kind: EventKind
    text: str
    node: str = ""
    done: int = 0
    total: int = 0
