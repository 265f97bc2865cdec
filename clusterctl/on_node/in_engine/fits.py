"""What tasks do around joblib's calls.

The text of this module is sent before that of `chunks.py`, and both run as one program.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FITS = "~/.cache/clusterctl/fits"
_FITS_KEPT_S = 86400
"""Fits are of use to one search."""
_LATE_S, _LOOK_S = 60.0, 0.05
"""How long one waits for somebody else's fit; then it is better to do it again."""


def limit_threads(act: Callable[[], Any], threads: int) -> Any:
    """Do this with at most so many threads of numeric libraries."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        return act()


def share_fits(search: str, function: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
    """Fit a pipeline whose first steps may have been fitted to the same data already, for another candidate.

    Args:
        search: its name. What another search has fitted is not looked at.
        function: what fits.
        estimator: the pipeline.
        args: more for that function.
        kwargs: more for it.
    """
    memory = SharedFits(search)
    estimator.memory = memory
    try:
        return function(estimator, *args, **kwargs)
    finally:
        if estimator.memory is memory:
            estimator.memory = None


class SharedFits:
    """What a pipeline takes as its memory: two engines never work on the same thing at a time."""

    def __init__(self, search: str, location: str = _FITS) -> None:
        self._search, self._folder = search, Path(location).expanduser()

    def cache(self, function: Callable[..., Any], ignore: Iterable[str] = (), **_: Any) -> Callable[..., Any]:
        """Return the function, with a memory for its values. See `joblib.Memory.cache`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            from joblib.func_inspect import filter_args

            key = _name_value((function.__qualname__, filter_args(function, list(ignore), args, kwargs)))
            if not key:
                return function(*args, **kwargs)
            return self._recall(f"{self._search}-{key}", lambda: function(*args, **kwargs))

        return call

    def _recall(self, name: str, act: Callable[[], Any]) -> Any:
        if not self._is_ours():
            return act()
        file = self._folder / name
        with _claim(self._folder / f"{name}.lock"):
            try:
                return pickle.loads(file.read_bytes())  # a file of this user's own folder, of this search
            except Exception:  # nobody has done it, or it cannot be read: then it is done here
                value = act()
                self._keep(file, value)
                return value

    def _is_ours(self) -> bool:
        """Make the folder, and return whether it is its user's alone."""
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
            about = self._folder.lstat()
        except OSError:
            return False
        return about.st_mode & 0o170077 == 0o040000 and about.st_uid == os.geteuid()

    def _keep(self, file: Path, value: Any) -> None:
        """Write a value, whole or not at all. Without room it is only not shared."""
        import cloudpickle

        part = file.with_name(f"{uuid.uuid4().hex}.part")
        try:
            with part.open("xb") as opened:
                cloudpickle.dump(value, opened, protocol=5)
            part.replace(file)
        except Exception:  # it cannot be written: the disk is full, or it cannot be pickled
            with suppress(OSError):
                part.unlink()
        for old in self._folder.iterdir():
            with suppress(OSError):
                if time.time() - old.stat().st_mtime > _FITS_KEPT_S:
                    old.unlink()


@contextmanager
def _claim(path: Path) -> Iterator[None]:
    """Wait until nobody else works on this, or for a while: then two work on it.

    The claim is a lock of the kernel: it ends with its holder.
    """
    import fcntl

    with path.open("ab") as file:
        end = time.monotonic() + _LATE_S
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_LOOK_S)
        yield


def _name_value(value: Any) -> str:
    """Return a name that equal values have on all engines; none if there is no such name."""
    import cloudpickle
    from joblib.hashing import NumpyHasher

    class Hasher(NumpyHasher):  # type: ignore[misc]  # it has no types
        def save(self, obj: Any) -> None:
            comes_with_task = isinstance(obj, (type, FunctionType)) and not _is_importable(obj)
            super().save(cloudpickle.dumps(obj) if comes_with_task else obj)  # then its code is its name

    try:
        return str(Hasher(hash_name="sha1").hash(value))
    except Exception:  # it is somebody else's class
        return ""


def _is_importable(what: Any) -> bool:
    named: Any = sys.modules.get(what.__module__)
    for part in what.__qualname__.split("."):
        named = getattr(named, part, None)
    return named is what


def work_alone() -> None:
    """Have joblib's backend of this name work in the task that asks for it: its engine is all that a task has."""
    from joblib.parallel import BACKENDS, SequentialBackend

    BACKENDS.setdefault("clusterctl", SequentialBackend)
