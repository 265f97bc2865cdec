"""Replaces large arrays of what is pickled by the names of files on the nodes."""

from __future__ import annotations

import hashlib
import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE_BYTES = 2**20
_MOST_KNOWN = 1000
_ROWS_KNOWN: dict[bytes, tuple[str, int, memoryview]] = {}
"""Name, bytes and head of files of rows, by what they are of. To make the rows of a search's folds, only to name them,
takes longer than all else that a client does for a search of an array that engines have."""
_OPEN = "__import__('sys').modules[program].OBJECTS.array(name, mode, kind)"


class StoredArray:
    """An array as a file, which is named by its content."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Name it.

        Args:
            make: returns the array, the same one each time.
        """
        self._make = make
        self.head = memoryview(b"")
        """What says of which kind and shape it is."""
        content, size = hashlib.sha256(), 0
        for piece in self.pieces():
            self.head = piece if not size else self.head
            content.update(piece)
            size += piece.nbytes
        self.name, self.bytes = content.hexdigest(), size

    def pieces(self) -> Iterator[memoryview]:
        """Yield the content of the file."""
        import numpy as np

        array = self._make()
        is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        plain = np.asfortranarray(array) if is_fortran else np.ascontiguousarray(array).reshape(array.shape)
        file = io.BytesIO()
        header = np.lib.format.header_data_from_array_1_0(plain)
        try:
            np.lib.format.write_array_header_1_0(file, header)
        except ValueError:  # it has very many columns
            np.lib.format.write_array_header_2_0(file, header)
        yield memoryview(file.getvalue())
        content: memoryview = plain.ravel(order="K").view(np.uint8).data
        for first in range(0, content.nbytes, _PIECE_BYTES):
            yield content[first : first + _PIECE_BYTES]


class StoredRows(StoredArray):
    """Rows of an array. A node that has the array makes their file itself."""

    def __init__(self, base: StoredArray, array: Any, *numbers: Any) -> None:
        """Name it.

        Args:
            base: the file of the array.
            array: the array.
            numbers: of the rows, in several arrays.
        """
        import numpy as np

        self.base = base
        self.numbers = whole = [np.ascontiguousarray(rows, dtype=np.int64) for rows in numbers]
        recipe = hashlib.sha256(base.name.encode())
        for rows in whole:
            recipe.update(len(rows).to_bytes(8, "big"))
            recipe.update(rows.data)
        key, make = recipe.digest(), lambda: np.concatenate([array[rows] for rows in whole])
        if key in _ROWS_KNOWN:
            self._make = make
            self.name, self.bytes, self.head = _ROWS_KNOWN[key]
            return
        super().__init__(make)
        if len(_ROWS_KNOWN) >= _MOST_KNOWN:
            _ROWS_KNOWN.clear()
        _ROWS_KNOWN[key] = self.name, self.bytes, self.head

    def recipe(self) -> list[memoryview]:
        """Return the head of the file, and the numbers of its rows."""
        return [self.head, *(rows.data for rows in self.numbers)]


class Swapper:
    """Knows the large arrays of one call, each by itself: an array may have changed when the next call begins."""

    def __init__(self, program: str, *, least: float, mode: str | None = "c", kind: str = "array") -> None:
        """Nothing is known yet.

        Args:
            program: the name of what runs inside an engine.
            least: the bytes of an array that goes to a file.
            mode: whether a task may change what it maps: ``c`` or ``r``; None for a copy in memory.
            kind: what a task gets: an ``array``, or a ``memmap``.
        """
        self.least, self._program, self._mode, self._kind = least, program, mode, kind
        self._known: dict[tuple[int, ...], tuple[object, StoredArray]] = {}

    def reduce(self, value: Any, objects: dict[str, StoredArray]) -> Any:
        """Return how a value is pickled, as `Pickler.reducer_override` does.

        Args:
            value: any value.
            objects: those that are named, by their names, to which it is added.
        """
        if isinstance(value, Swapped):
            stored = self.know(value.parts, lambda: value.make(self))
            objects[stored.name] = stored
            return self._opening(stored, "c", value.kind)
        numpy = sys.modules.get("numpy")  # another thread may be loading it: then there are no arrays yet
        if type(value) not in {getattr(numpy, "ndarray", None), getattr(numpy, "memmap", None)}:
            return NotImplemented
        if value.nbytes < self.least or value.dtype.hasobject:
            return NotImplemented
        stored = self.know_array(value)
        objects[stored.name] = stored
        return self._opening(stored, self._mode, self._kind)

    def know_array(self, array: Any) -> StoredArray:
        """Return the file of an array."""
        return self.know((array,), lambda: StoredArray(lambda: array))

    def know(self, parts: tuple[object, ...], make: Callable[[], StoredArray]) -> StoredArray:
        """Return the file that is made of these."""
        key = tuple(map(id, parts))
        if key not in self._known:
            self._known[key] = parts, make()  # who keeps the parts keeps their ids
        return self._known[key][1]

    def forget(self) -> None:
        """Forget all: the call is over."""
        self._known.clear()

    def _opening(self, stored: StoredArray, mode: str | None, kind: str) -> tuple[Any, ...]:
        return eval, (_OPEN, {"program": self._program, "name": stored.name, "mode": mode, "kind": kind})


class Swapped:
    """Stands for an array that is made of others, and goes to a file in any case."""

    def __init__(self, parts: tuple[object, ...], make: Callable[[Swapper], StoredArray], kind: str) -> None:
        """Nothing is made yet.

        Args:
            parts: what it is made of: the same parts make the same array.
            make: makes its file.
            kind: what a task gets: see `Objects.array` in `on_node/in_engine/objects.py`.
        """
        self.parts, self.make, self.kind = parts, make, kind
