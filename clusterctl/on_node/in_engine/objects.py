"""Large arrays of tasks, in files below the home. Each is named by its content, never changed, and mapped by its tasks.

The text of this module is sent before that of `chunks.py`, and both run as one program.

A folder belongs to one user, and nobody else may read it. Whoever has an array mapped holds a lock on its file, in the
kernel: it ends with him, however he ends. What was not used for long is removed, and what is locked never is.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    # Their texts come before this one.
    from .object_files import BLOCK, NAME_LETTERS, Part, StoreError, digest, is_own, state_of, sweep  # noqa: TC004
    from .passing import PASSING  # noqa: TC004
    from .rows import rows_class  # noqa: TC004

LOCATION = "~/.cache/clusterctl/objects"
TOUCH_S = 3600
"""So exactly is known when a file was used last."""


class MissingObjectError(LookupError):
    """A file is not there, or is not what its name says."""


class Objects:
    """The files of one user, as one engine sees them."""

    def __init__(self, location: str = LOCATION) -> None:
        self.location = location
        self._checked: dict[str, tuple[int, ...]] = {}
        """Files whose content was read, by name: what changes when they do."""
        self._parts: dict[str, Part] = {}

    def folder(self) -> Path:
        """Return the folder, which is made.

        Raises:
            StoreError: others can read or write it, or it cannot be made.
        """
        folder = Path(self.location).expanduser()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            about = folder.lstat()
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}") from None
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise StoreError(f"{folder} must be a folder that its user alone can read and write (mode 700)")
        return folder

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return those of these that are not here."""
        names = list(names)
        if not names:
            return []
        folder = self.folder()
        return [name for name in names if not (folder / name).exists()]

    def array(self, name: str, mode: str | None, kind: str) -> Any:
        """Return an array, mapped.

        Args:
            name: of the file.
            mode: ``r`` for one that cannot be written to; ``c`` for one whose changes are its own; None for a copy.
            kind: ``memmap``, ``array`` or ``rows`` (see `Rows`).

        Raises:
            MissingObjectError: it is not here.
        """
        import numpy as np

        with os.fdopen(self._open(name), "rb") as file:  # the lock lives on with the mapping
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran, dtype = read(file)
            order: Any = "F" if is_fortran else "C"
            mapped = np.memmap(file, dtype=dtype, mode=mode or "r", offset=file.tell(), shape=shape, order=order)  # type: ignore[call-overload]
        if mode is None:
            return np.array(mapped, copy=True, order="K", subok=False)
        return mapped if kind == "memmap" else mapped.view(rows_class() if kind == "rows" else np.ndarray)

    def _open(self, name: str) -> int:
        try:
            number = os.open(self.folder() / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise MissingObjectError(name) from error
        try:
            fcntl.flock(number, fcntl.LOCK_SH)
            self._check(name, number)
        except BaseException as error:
            os.close(number)
            if isinstance(error, OSError):  # it was removed on another machine
                raise MissingObjectError(name) from error
            raise
        return number

    def _check(self, name: str, number: int) -> None:
        """See to it that an open file is what its name says, and was not removed; once until it changes."""
        about = os.fstat(number)
        if not about.st_nlink:
            raise MissingObjectError(name)
        if not is_own(about):
            with suppress(OSError):
                (self.folder() / name).unlink()
            raise MissingObjectError(name)
        if time.time() - about.st_mtime > TOUCH_S:
            with suppress(OSError):
                os.utime(number)
                about = os.fstat(number)
        state = state_of(about)
        if self._checked.get(name) == state:
            return
        if digest(number) != name:
            with suppress(OSError):
                (self.folder() / name).unlink()
            raise MissingObjectError(name)
        self._checked[name] = state

    def take(self, content: dict[str, Any], pieces: Sequence[Any]) -> dict[str, Any]:
        """Take a step of a client that brings a file, and return what it is told.

        Args:
            content: the `act`, which is `begin`, `piece` or `end`; `make` for a file of rows of another one; or, for a
                file that one engine passes on to another, `offer` and `pass` there, and `receive` and `look` here.
            pieces: what comes with it.
        """
        try:
            act = content["act"]
            if act == "begin":
                return self._begin(str(content["name"]), int(content["bytes"]))
            if act == "make":
                return self._make(str(content["name"]), int(content["bytes"]), str(content["of"]), pieces)
            if act in {"offer", "pass", "receive", "look"}:
                return self._pass(act, content)
            part = self._parts.get(str(content["part"]))
            if part is None:
                return {"again": True}
            if act == "piece":
                part.write(pieces[0], int(content["offset"]))
            elif act == "end":
                self._finish(self._parts.pop(str(content["part"])))
        except MissingObjectError:  # it is not what its name says, and was removed
            return {"lacks": True}
        except (OSError, StoreError) as error:
            part = self._parts.pop(str(content.get("part")), None)
            if part is not None:
                part.drop()
            return {"error": str(error)}
        return {}

    def _begin(self, name: str, size: int) -> dict[str, Any]:
        _check_name(name)
        folder = self.folder()
        key = uuid.uuid4().hex
        # A new file in the folder also has a shared one looked at anew.
        part = Part(folder, name, key)
        if (folder / name).exists():
            part.drop()
            return {"has": True}
        try:
            sweep(folder, size)
        except BaseException:
            part.drop()
            raise
        self._parts[key] = part
        return {"part": key}

    def _pass(self, act: str, content: dict[str, Any]) -> dict[str, Any]:
        """Take a step of a file that one engine sends to another."""
        if act == "look":
            return PASSING.look(str(content["arrival"]), end=bool(content["end"]))
        name = str(content["name"])
        if act == "receive":
            begun = self._begin(name, int(content["bytes"]))
            if "part" not in begun:
                return begun
            part = self._parts.pop(begun["part"])
            return PASSING.receive(part, int(content["bytes"]), str(content["key"]), self._finish)
        _check_name(name)
        if self.lacking([name]):
            return {"lacks": True}
        if act == "offer":
            return PASSING.offer()
        PASSING.send(str(content["offer"]), lambda: os.fdopen(self._open(name), "rb"), content)
        return {}

    def _finish(self, part: Part) -> None:
        self._checked[part.name] = state_of(part.finish())

    def _make(self, name: str, size: int, base: str, pieces: Sequence[Any]) -> dict[str, Any]:
        """Make a file of rows of another one, from its head and their numbers."""
        import numpy as np

        try:
            array = self.array(base, "r", "array")
        except MissingObjectError:
            return {"lacks": True}
        begun = self._begin(name, size)
        if "part" not in begun:
            return begun
        part = self._parts.pop(begun["part"])
        part.write(pieces[0], 0)
        at_once = max(1, BLOCK // max(1, array[:1].nbytes))
        try:
            for numbers in (np.frombuffer(piece, dtype=np.int64) for piece in pieces[1:]):
                for first in range(0, len(numbers), at_once):
                    rows = np.ascontiguousarray(array[numbers[first : first + at_once]])
                    part.write(rows.reshape(-1).view(np.uint8).data, part.size)
            self._finish(part)
        except StoreError:  # it is not quite the client's NumPy
            return {"differs": True}
        return {}


def _check_name(name: str) -> None:
    if len(name) != NAME_LETTERS or not set(name) <= set("0123456789abcdef"):
        raise StoreError(f"{name!r} is no name of an object")


OBJECTS = Objects()
