"""What an operation tells while it works."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EventKind(str, Enum):
    """How an event wants to be shown."""

    STEP = "step"
    """A new phase: ``>>> text``."""
    PROGRESS = "progress"
    """`done` of `total` in the phase `text`."""
    NOTE = "note"
    """Worth a line, nothing to do."""
    WARNING = "warning"
    """Worth the user's attention."""


@dataclass(frozen=True)
class Event:
    """What an operation tells whoever watches. The cli shows it; nothing below the cli prints."""

    kind: EventKind
    text: str
    node: str = ""
    done: int = 0
    total: int = 0
