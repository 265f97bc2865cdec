"""Memory of large sums that nobody looks at any more: the next one of the size takes it.

New memory of some megabytes costs more than the sum itself: the kernel clears each page when it is first touched.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .values import PIECE_BYTES, numpy  # noqa: TC004

KEPT = 3
"""In a loop one is the last result, and one becomes the next."""
ALONE = 3
"""The references to what only this list has: its own, the loop's, and that of who counts them."""


LASTING_BYTES = 2**24
"""What is kept from one group to the next is no larger than this."""


class Spares:
    """What groups of this engine have used."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def array(self, count: int, dtype: Any) -> Any:
        """Return a flat array. It has any content.

        Whoever has a part of an array, also a line that sends it, or MPI, has a reference to all of it.
        """
        size = count * dtype.itemsize
        if size < PIECE_BYTES:
            return numpy().empty(count, dtype)
        for memory in self._kept:
            if memory.nbytes == size and sys.getrefcount(memory) == ALONE:
                return memory.view(dtype)
        memory = numpy().empty(size, "u1")
        self._kept = [*self._kept[1 - KEPT :], memory]
        return memory.view(dtype)

    def trim(self) -> None:
        """Let go what is large: the group has ended."""
        self._kept = [memory for memory in self._kept if memory.nbytes <= LASTING_BYTES]


SPARES = Spares()
