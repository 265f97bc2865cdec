"""Pickles what goes to engines: functions and classes of `__main__` and of the user's own modules by value."""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import pickle
import sys
import sysconfig
import threading
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clusterctl.compute.failures import TooLargeError
from clusterctl.errors import raise_if_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

_OF_PICKLE = (pickle.PickleError, TypeError, AttributeError, ImportError, NotImplementedError)
"""What says that a value cannot be pickled; anything else comes from a class of the user's."""
MOST_BYTES = 256 * 2**20
"""Of one message. A controller takes four times as much memory for it, and an engine three times as much."""
_DEEPEST, _MOST_PARTS = 5, 1000
"""How far one looks for the part that cannot be pickled."""
_TRAVELLING = {"clusterctl.compute.calls.memory"}
"""Modules of ours that are sent to engines as the user's own are."""
_LOCK = threading.Lock()
_KNOWN: dict[str, bool] = {}
"""By the name of a module: whether it is the user's own."""
_OWN: tuple[int, list[ModuleType]] = (0, [])
"""How many modules were loaded when they were last looked through, and which of them are the user's own."""


class _OverflowingError(Exception):
    pass


class _LimitedBytes(io.BytesIO):
    """Takes at most so many bytes: what is too large is known before the memory is full."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def write(self, data: Any) -> int:
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise _OverflowingError
        return super().write(data)


def pickle_for_engines(
    value: object, what: str, *, most: int = MOST_BYTES, swap: Callable[[object], Any] | None = None
) -> bytes:
    """Return the bytes. An engine needs cloudpickle to read them.

    Args:
        value: what is pickled.
        what: what it is called in messages.
        most: the most bytes.
        swap: returns how a part of it is pickled, as `Pickler.reducer_override` does.

    Raises:
        TypeError: the value cannot be pickled; the error says what it was, and which part of it.
        TooLargeError: it has more bytes than are allowed.
        Exception: what the value's own class raises.
    """
    import cloudpickle

    with _by_value(cloudpickle):
        file = _LimitedBytes(most)
        try:
            _pickler(cloudpickle, file, swap).dump(value)
        except _OverflowingError as exc:
            raise TooLargeError(f"{what} has more than {most >> 20} MiB, and cannot be sent to engines") from exc
        except _OF_PICKLE as exc:
            part = _name_culprit(cloudpickle, value)
            raise TypeError(f"{what} cannot be sent to engines: {exc}{f' ({part})' if part else ''}") from exc
        return file.getvalue()


def _pickler(cloudpickle: ModuleType, file: io.BytesIO, swap: Callable[[object], Any] | None) -> Any:
    if swap is None:
        return cloudpickle.CloudPickler(file, protocol=5)
    return _swapping_pickler(cloudpickle)(file, swap)


@cache
def _swapping_pickler(cloudpickle: ModuleType) -> Any:
    """Return the class of those that swap parts. To make a class takes longer than to pickle a number."""

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc,name-defined]  # it is loaded late
        def __init__(self, file: io.BytesIO, swap: Callable[[object], Any]) -> None:
            super().__init__(file, protocol=5)
            self._swap = swap

        def reducer_override(self, value: object) -> Any:
            replaced = self._swap(value)
            return super().reducer_override(value) if replaced is NotImplemented else replaced

    return Pickler


def _name_culprit(cloudpickle: ModuleType, value: object) -> str:
    """Return the way to the part of a value that cannot be pickled: ``its variable config.lock``."""
    way: list[str] = []
    while len(way) < _DEEPEST:
        part = next((part for part in _parts(value) if not _can_be_pickled(cloudpickle, part[1])), None)
        if part is None:
            break
        name, value = part
        way.append(name)
    return "".join(way)


def _can_be_pickled(cloudpickle: ModuleType, value: object) -> bool:
    try:
        cloudpickle.CloudPickler(_LimitedBytes(MOST_BYTES), protocol=5).dump(value)
    except _OverflowingError:  # it is large, which is another problem
        return True
    except BaseException as exc:  # it is somebody else's class
        raise_if_interrupt(exc)
        return False
    return True


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield what a value is made of, with its name."""
    if isinstance(value, FunctionType):
        variables = inspect.getclosurevars(value)
        yield from (
            (f"its variable {name}", part) for name, part in {**variables.nonlocals, **variables.globals}.items()
        )
    elif isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in islice(value.items(), _MOST_PARTS))
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{place}]", part) for place, part in enumerate(value[:_MOST_PARTS]))
    else:
        yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())


def digest(pickled: bytes) -> str:
    """Return a name for it."""
    return hashlib.blake2b(pickled, digest_size=16).hexdigest()


@contextmanager
def _by_value(cloudpickle: ModuleType) -> Iterator[None]:
    """Send the user's own modules, which no engine can import."""
    with _LOCK:
        before = cloudpickle.list_registry_pickle_by_value()
        added = [module for module in _own_modules() if module.__name__ not in before]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def _own_modules() -> list[ModuleType]:
    global _OWN  # noqa: PLW0603  to look through them takes longer than to pickle a chunk
    if _OWN[0] != len(sys.modules):
        loaded, installed = list(sys.modules.items()), _installed()
        own = [module for name, module in loaded if name in _TRAVELLING or _is_own(name, module, installed)]
        _OWN = len(loaded), own
    return _OWN[1]


def _is_own(name: str, module: ModuleType, installed: tuple[str, ...]) -> bool:
    """Return whether a module is the user's: no package that is installed, and no part of Python."""
    file = getattr(module, "__file__", None)
    if not file or name in {"__main__", "__mp_main__"} or getattr(module, "__name__", None) != name:
        return False
    if name not in _KNOWN:
        _KNOWN[name] = not os.path.normcase(file).startswith(installed)
    return _KNOWN[name]


def _installed() -> tuple[str, ...]:
    """Return the folders of what is installed, each with the separator behind it."""
    paths = {Path(path) for path in sysconfig.get_paths().values()}
    import cloudpickle  # on a node it may lie beside this package, outside of the environment

    paths |= {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1], Path(cloudpickle.__file__).parent}
    return tuple({os.path.normcase(f"{path}{os.sep}") for path in paths | {path.resolve() for path in paths}})
