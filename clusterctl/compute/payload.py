"""Pickles what goes to engines: functions and classes of `__main__` and of the user's own modules by value."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_LOCK = threading.Lock()
_KNOWN: dict[str, bool] = {}
"""By the name of a module: whether it is the user's own."""
_OWN: tuple[int, list[ModuleType]] = (0, [])
"""How many modules were loaded when they were last looked through, and which of them are the user's own."""


def pickle_for_engines(value: object, what: str) -> bytes:
    """Return the bytes. An engine needs cloudpickle to read them.

    Raises:
        TypeError: the value cannot be pickled; the error says what it was.
    """
    import cloudpickle

    with _by_value(cloudpickle):
        try:
            return bytes(cloudpickle.dumps(value, protocol=5))
        except Exception as exc:
            raise TypeError(f"{what} cannot be sent to engines: {exc}") from exc


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
        _OWN = len(loaded), [module for name, module in loaded if _is_own(name, module, installed)]
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
    paths |= {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1]}
    return tuple({os.path.normcase(f"{path}{os.sep}") for path in paths | {path.resolve() for path in paths}})
