"""How values travel between engines: their shapes as JSON, the bytes of arrays as they are, and never a pickle.

The text of this module is sent with those of the other modules here: all run as one program.
"""

from __future__ import annotations

import json
import sys
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .spares import Spares

KINDS = "biufc"
"""Of numpy's types, those that are numbers: what is calculated with."""
CARRIED_KINDS = f"{KINDS}mMSU"
"""Those that are carried, besides."""
PIECE_BYTES = 2**20
"""Of a large array that is on its way: the next engine adds while this one sends on."""
OPERATIONS = ("sum", "mean", "min", "max", "prod")


def numpy() -> Any:
    """Return numpy if somebody has loaded it, to its end: without it there are no arrays."""
    module = sys.modules.get("numpy")
    return module if hasattr(module, "ndarray") and hasattr(module, "generic") else None


def is_array(value: object) -> bool:
    """Return whether this is an array of numpy, or one number of its types."""
    np = numpy()
    return np is not None and isinstance(value, (np.ndarray, np.generic))


def pack_value(value: object) -> tuple[bytes, list[Any]]:
    """Return the shape of a value, as JSON, and the buffers of its arrays and bytes.

    Raises:
        TypeError: something in it is neither a number, a text, bytes, None, an array nor a list, tuple or dict of them.
    """
    buffers: list[Any] = []
    return json.dumps(_describe(value, buffers)).encode(), buffers


def _describe(value: Any, buffers: list[Any]) -> list[Any]:
    if is_array(value):
        array = check_array(value, CARRIED_KINDS)
        buffers.append(_bytes_of(array))
        return ["array" if isinstance(value, numpy().ndarray) else "scalar", array.dtype.str, list(array.shape)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return ["plain", value]
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, (bytes, bytearray)):
        buffers.append(bytes(value))
        return ["bytes"]
    if isinstance(value, (list, tuple)):
        return [_name_of(value), [_describe(part, buffers) for part in value]]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a dict that engines exchange are texts")
        return ["dict", list(value), [_describe(part, buffers) for part in value.values()]]
    raise _cannot_travel(value)


def _name_of(value: object) -> str:
    if type(value) not in {list, tuple}:
        raise _cannot_travel(value)
    return type(value).__name__


def _cannot_travel(value: object) -> TypeError:
    what = "engines exchange numbers, texts, bytes, None, numpy's arrays, and lists, tuples and dicts of them"
    return TypeError(f"{what}, not {type(value).__name__}")


def check_array(value: Any, kinds: str) -> Any:
    """Return an array as it travels: its parts side by side, in this machine's order of bytes.

    Raises:
        TypeError: it has objects, or something else that is no number.
    """
    np = numpy()
    array = np.asarray(value)
    if array.dtype.kind not in kinds:
        raise TypeError(f"engines do not exchange arrays of {array.dtype}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _bytes_of(array: Any) -> Any:
    return array.reshape(-1).view("u1").data


def unpack_value(shape: bytes, buffers: Sequence[Any]) -> Any:
    """Return a value that another engine has packed.

    Raises:
        ValueError: the bytes are not those of the shape.
    """
    rest = iter(buffers)
    try:
        value = _build(json.loads(shape), rest)
    except (KeyError, IndexError, TypeError, StopIteration, ImportError, OverflowError) as error:
        raise ValueError(f"what came is no value: {error}") from None
    if next(rest, None) is not None:
        raise ValueError("more bytes came than were said")
    return value


def _build(shape: Any, buffers: Iterator[Any]) -> Any:
    kind = shape[0]
    if kind == "plain":
        return shape[1]
    if kind == "complex":
        return complex(shape[1], shape[2])
    if kind == "bytes":
        return bytes(next(buffers))
    if kind in {"array", "scalar"}:
        array = _read_array(shape[1], shape[2], next(buffers))
        return array if kind == "array" else array[()]
    if kind == "dict":
        return {key: _build(part, buffers) for key, part in zip(shape[1], shape[2], strict=True)}
    return {"list": list, "tuple": tuple}[kind](_build(part, buffers) for part in shape[1])


def _read_array(name: str, lengths: list[int], buffer: Any) -> Any:
    import numpy as np

    dtype = np.dtype(name)
    if dtype.kind not in CARRIED_KINDS:
        raise ValueError(f"arrays of {dtype} are not exchanged")
    wanted = reduce(lambda many, length: many * length, lengths, dtype.itemsize)
    if any(length < 0 for length in lengths) or memoryview(buffer).nbytes != wanted:
        raise ValueError(f"{memoryview(buffer).nbytes} bytes came where {wanted} were said")
    return np.frombuffer(buffer, dtype).reshape(lengths).copy()


class Total:
    """A value of one member, to which those of others are added.

    Whole numbers that are narrower than 64 bits are added as 64 bits, as numpy's own `sum` does.
    """

    def __init__(self, value: Any, operation: str, spares: Spares) -> None:
        """Begin with a member's own value.

        Args:
            value: it stays as it is.
            operation: what is done.
            spares: memory for the result.

        Raises:
            TypeError: it is no number, no array of numbers, nor a list, tuple or dict of them.
            ValueError: there is no such operation.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"op is one of {', '.join(OPERATIONS)}, or a function of two values, not {operation!r}")
        self.operation = operation
        self.numbers: list[Any] = []
        self.arrays: list[Any] = []
        self._makers: list[Callable[[Any], Any]] = []
        self._value, self._spares = value, spares
        self.shape = json.dumps(self._describe(value))

    def _describe(self, value: Any) -> list[Any]:
        if is_array(value):
            array = check_array(value, KINDS)
            wide = _wide_type(array.dtype, self.operation)
            self.arrays.append(self._spares.array(array.size, wide))
            numpy().copyto(self.arrays[-1], array.reshape(-1), casting="unsafe")
            order = "F" if getattr(value, "flags", None) is not None and value.flags.fnc else "C"
            # Without a reference to itself, so that the memory is free at once.
            self._makers.append(partial(_finish, self.operation, value, order))
            return ["array", array.dtype.str, list(array.shape)]
        if isinstance(value, (bool, int, float, complex)):
            self.numbers.append(int(value) if isinstance(value, bool) else value)
            return ["number"]
        if isinstance(value, (list, tuple)):
            return [_name_of(value), [self._describe(part) for part in value]]
        if isinstance(value, dict):
            return ["dict", list(value), [self._describe(part) for part in value.values()]]
        raise TypeError(f"numbers and numpy's arrays of them are added, not {type(value).__name__}")

    def pieces(self) -> Iterator[Any]:
        """Yield the arrays, in pieces that are no copies."""
        for array in self.arrays:
            step = max(1, PIECE_BYTES // array.itemsize)
            for start in range(0, len(array), step):
                yield array[start : start + step]

    def add_numbers(self, others: list[Any]) -> None:
        """Add those of another member."""
        self.numbers = [
            _CALCULATE[self.operation](mine, other) for mine, other in zip(self.numbers, others, strict=True)
        ]

    def add_piece(self, piece: Any, buffer: Any) -> None:
        """Add the same piece of another member."""
        np = numpy()
        ufunc = {"sum": np.add, "mean": np.add, "min": np.minimum, "max": np.maximum, "prod": np.multiply}
        ufunc[self.operation](piece, read_piece(piece, buffer), out=piece)

    def result(self, size: int) -> Any:
        """Return the value, of so many members."""
        numbers, arrays = iter(self.numbers), iter(zip(self._makers, self.arrays, strict=True))
        return self._rebuild(self._value, numbers, arrays, size)

    def _rebuild(self, value: Any, numbers: Iterator[Any], arrays: Iterator[Any], size: int) -> Any:
        if is_array(value):
            make, array = next(arrays)
            return make((array, size))
        if isinstance(value, (list, tuple)):
            return type(value)(self._rebuild(part, numbers, arrays, size) for part in value)
        if isinstance(value, dict):
            return {key: self._rebuild(part, numbers, arrays, size) for key, part in value.items()}
        number = next(numbers)
        return number / size if self.operation == "mean" else number


def _finish(operation: str, value: Any, order: str, total: tuple[Any, int]) -> Any:
    np = numpy()
    array, size = total
    if operation == "mean":
        array = array / size
        if value.dtype.kind in "fc":
            array = array.astype(value.dtype.newbyteorder("="), copy=False)
    elif value.dtype.kind == "f":
        array = array.astype(value.dtype.newbyteorder("="), copy=False)  # half a precision was added as more
    array = array.reshape(value.shape)
    return np.asarray(array, order=order) if isinstance(value, np.ndarray) else array[()]


def read_piece(piece: Any, buffer: Any) -> Any:
    """Return what came as an array like this piece.

    Raises:
        ValueError: it has another length.
    """
    got = memoryview(buffer).nbytes
    if got != piece.nbytes:
        raise ValueError(f"{got} bytes came where {piece.nbytes} were said")
    return numpy().frombuffer(buffer, piece.dtype)


def _wide_type(dtype: Any, operation: str) -> Any:
    """Return the type that numbers of this type are calculated in."""
    np = numpy()
    if operation in {"min", "max"}:
        return dtype
    if dtype.kind in "biu":
        if operation == "mean":
            return np.dtype("f8")
        return np.dtype("u8") if dtype.kind == "u" else np.dtype("i8")
    return np.dtype("f4") if dtype.str[1:] == "f2" else dtype


def _least(one: Any, other: Any) -> Any:
    return one if one != one or not (other != other or other < one) else other


def _most(one: Any, other: Any) -> Any:
    return one if one != one or not (other != other or other > one) else other


_CALCULATE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda one, other: one + other,
    "mean": lambda one, other: one + other,
    "prod": lambda one, other: one * other,
    "min": _least,
    "max": _most,
}


def pack_numbers(numbers: Sequence[Any]) -> list[Any]:
    """Return numbers as JSON has them."""
    return [[number.real, number.imag] if isinstance(number, complex) else number for number in numbers]


def unpack_numbers(packed: Any) -> list[Any]:
    """Return the numbers.

    Raises:
        ValueError: something in it is none.
    """
    numbers = [complex(*number) if isinstance(number, list) else number for number in packed]
    if not all(isinstance(number, (int, float, complex)) for number in numbers):
        raise ValueError("what came is no number")
    return numbers
