"""Paths as people write them, and the writer of files that must never be seen half written.

It is the only place that renames drafts, that adds to a file, and that sets a broken one aside.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def expand_path(text: str) -> Path:
    """Return a path with ``~`` and ``$VARS`` expanded. A relative path stays relative."""
    return Path(os.path.expanduser(os.path.expandvars(text)))  # noqa: PTH111  # the methods of Path may raise


def expand_user(path: Path) -> Path:
    """Return a path with ``~`` expanded, also where it names nobody here: then it stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # the method of Path raises RuntimeError


def user_home() -> Path:
    """Return the user's home.

    Raises:
        UsageError: nobody says where it is, as in a container whose user has no name.
    """
    try:
        return Path.home()
    except RuntimeError:
        problem = "nobody says where your home is: HOME is not set, and this computer does not know its user"
        raise UsageError(problem, remedy="set HOME to a folder of yours") from None


@dataclass(frozen=True)
class FileToSend:
    """A file or folder of this computer, and where it shall be on nodes."""

    local: Path
    remote: str
    """As it was typed: a relative path starts at the cluster user's home."""

    def __str__(self) -> str:
        """Return it as a config has it, whatever folder that is in."""
        return f"{self.local.absolute()}:{self.remote}"


def parse_file_to_send(text: str, folder: Path) -> FileToSend:
    """Return what ``local:remote`` says. A relative local path begins in this folder.

    Raises:
        ValueError: with a message that says what was expected.
    """
    local, _, remote = (part.strip() for part in text.rpartition(":"))  # on Windows a drive has a colon, too
    if not local or not remote or "\0" in text:
        raise ValueError(f"expected LOCAL:REMOTE, such as data.csv:data/, got {text[:60]!r}")
    return FileToSend(folder / expand_path(local), remote)


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old file or the new one.

    The draft lies in the same folder, since a rename is atomic only within one file system. It has its mode before its
    content: a secret is never readable by others, not even for an instant.

    The content is on the disk before the rename: else a computer that loses its power may come up with an empty file
    under the final name. The folder is not forced to the disk: at worst the old file is back, which is whole, too.

    Args:
        path: the file; its folder must exist.
        content: text is written as UTF-8, with line ends as they are.
        mode: the permissions. The default lets only the owner read.

    Raises:
        OSError: the file cannot be written. No draft is left behind.
    """
    with open_atomically(path, mode=mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_atomically(path: Path, *, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Have a draft to write to, which becomes the file when the block ends, and is gone after an error in it.

    The promises are those of `write_atomically`.

    Args:
        path: the file; its folder must exist.
        mode: the permissions.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        if exc.filename is None:  # of a disk that became full it is not told which file was written
            exc.filename = str(path)
        raise
    finally:
        draft.unlink(missing_ok=True)


def publish_folder(draft: Path, folder: Path) -> None:
    """Give a folder that was made beside its place the name under which it is known.

    Raises:
        OSError: there is one of that name.
    """
    draft.rename(folder)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object that is in a file; nothing where it is not there or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_own(path: Path, content: str) -> None:
    """Write a file of ours, as `write_atomically` does. A folder that has taken its name is set aside.

    Raises:
        OSError: the file cannot be written.
    """
    if path.is_dir() and not path.is_symlink():
        set_aside(path)
    write_atomically(path, content)


def ensure_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone. One that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        if path.parent != path:
            ensure_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def read_own(path: Path) -> str:
    """Return the text of a file of ours; empty where there is none that can be read.

    A file that was damaged may be no text: what is none is replaced, and is found out where the content is checked.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def append_lines(path: Path, text: str) -> None:
    """Add lines to a file that only its owner can read. They are on the disk when this returns.

    A line that a crash cut short is ended first, or the new line would be lost too. A file of ours that somebody made
    read-only is made writable.

    Raises:
        OSError: the file cannot be written.
    """
    with os.fdopen(_open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        whole = file.read(1) in {b"", b"\n"}
        file.seek(0, os.SEEK_END)
        file.write((b"" if whole else b"\n") + text.encode())
        file.flush()
        os.fsync(file.fileno())


def open_lock(path: Path) -> IO[str]:
    """Open a lock file of ours, which is made if it is missing.

    Raises:
        OSError: the file cannot be opened.
    """
    return os.fdopen(_open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+")


def _open_own(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o600)
    except PermissionError:
        path.chmod(0o600)
    except IsADirectoryError:
        set_aside(path)
    return os.open(path, flags, 0o600)


def set_aside(path: Path) -> Path | None:
    """Rename a broken file or folder, so that a new one can take its name and somebody can look at the old one.

    Returns:
        The new path; None if there is nothing of that name, or it cannot be renamed.
    """
    stamp = utc_now().strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.broken-{stamp}-{secrets.token_hex(2)}")
    try:
        return path.rename(aside)
    except OSError:
        return None
