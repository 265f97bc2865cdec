"""Paths as people write them, and the writer of files that must never be seen half written.

It is the only place that renames a draft over a file.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def expand_path(text: str) -> Path:
    """Return a path with ``~`` and ``$VARS`` expanded. A relative path stays relative."""
    return Path(os.path.expanduser(os.path.expandvars(text)))  # noqa: PTH111  # the methods of Path may raise


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
