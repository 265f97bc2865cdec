"""Tells engines which of their replies have come, so that they need not keep them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LARGE_BYTES = 4 * 2**20
"""Of a reply, which an engine should not keep until it is sent something: that may be long."""


class Receipts:
    """The replies that have come, by engine. A small one is acknowledged with the engine's next chunk."""

    def __init__(self, acknowledge: Callable[[str, Sequence[str]], object]) -> None:
        """Have nothing to tell yet.

        Args:
            acknowledge: tells an engine, given by its uuid, that the replies of these chunks have come.
        """
        self._acknowledge = acknowledge
        self._untold: defaultdict[str, list[str]] = defaultdict(list)

    def note(self, engine: str, chunk: str, reply: bytes) -> None:
        """Note that the reply of a chunk has come."""
        self._untold[engine].append(chunk)
        if len(reply) > _LARGE_BYTES:
            self._acknowledge(engine, [chunk])  # which may be lost, so that it is told again

    def take(self, engine: str) -> list[str]:
        """Return what this engine is to be told with its next chunk."""
        return self._untold.pop(engine, [])
