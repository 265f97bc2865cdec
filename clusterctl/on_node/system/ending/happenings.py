"""What has happened since the last look that people want to be told of, though nothing of the cluster ends by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE, INTERRUPTED = "done", "interrupted"
_KINDS = {"jobs": "the job", "maps": "the detached map"}
_HINT = "~hint"
"""The end of the name of a mark that says only that a node may be taken."""


class Happenings:
    """What was seen before. At the first look nothing has happened: who has looked before has told it."""

    def __init__(self) -> None:
        self._held: frozenset[str] | None = None
        self._notices: frozenset[str] = frozenset()

    def look(self, content: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the event and what has happened, by what is in the home."""
        if not content:  # the home cannot be read: nobody knows
            return
        held = frozenset(map(str, content.get("held") or ()))
        notices = frozenset(str(name) for name in content.get("notices") or () if not str(name).endswith(_HINT))
        before, known = self._held, self._notices
        self._held, self._notices = held, notices
        if before is None:
            return
        for name in sorted(before - held):
            kind, _, own = name.partition("/")
            yield DONE, plain(f"{_KINDS.get(kind, kind)} {own} has ended")
        for name in sorted(notices - known):
            yield INTERRUPTED, plain(f"the machine {name} will be taken")
