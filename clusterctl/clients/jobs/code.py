"""The code of jobs, on the home: each file once, by the hash of its content, and a copy of its own for each job.

FOLDER/3f/3f9a...      the content of a file
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.clients.jobs.model import JobError
from clusterctl.clock import utc_now
from clusterctl.files import open_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_KEPT_S = 30 * 86400.0
"""Since a job has used it."""
_PART = 1 << 20


@dataclass(frozen=True)
class CodeFile:
    """A file of a snapshot, or a link."""

    path: str
    """Below the job's folder, with slashes."""
    digest: str
    """Of its content; of a link, of where it leads."""
    size: int
    is_program: bool = False
    is_link: bool = False


def pack_files(files: Iterable[CodeFile]) -> bytes:
    """Return a list of files as bytes."""
    return json.dumps([[f.path, f.digest, f.size, f.is_program, f.is_link] for f in files]).encode()


def read_files(content: bytes) -> list[CodeFile]:
    """Return the files that `pack_files` packed.

    Raises:
        JobError: a path leads out of the folder, or it is no list of files.
    """
    try:
        files = [CodeFile(*entry) for entry in json.loads(content or b"[]")]
        for file in files:
            path = PurePosixPath(file.path)
            if path.is_absolute() or ".." in path.parts or not path.parts or len(file.digest) != 64:
                raise ValueError(file.path)
            int(file.digest, 16)
    except (ValueError, TypeError) as exc:
        raise JobError(f"the list of files makes no sense: {exc}", remedy="run it again") from exc
    return files


class CodeStore:
    """The contents that a folder has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def missing(self, files: Sequence[CodeFile]) -> list[str]:
        """Return the digests of what is not there. What is there is kept for a while from now on."""
        wanted = {file.digest: file.size for file in files}
        return [digest for digest, size in wanted.items() if not self._has(digest, size)]

    def _has(self, digest: str, size: int) -> bool:
        path = self._path(digest)
        try:
            if path.stat().st_size == size:
                path.touch()
                return True
        except OSError:
            pass
        return False

    def put(self, digest: str, size: int, read: Callable[[int], bytes]) -> None:
        """Keep a content, whole or not at all.

        Raises:
            JobError: what came is not what was announced.
        """
        path = self._path(digest)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        real = hashlib.sha256()
        with contextlib.suppress(_OtherContentError), open_atomically(path) as draft:
            left = size
            while left:
                part = read(min(left, _PART))
                real.update(part)
                draft.write(part)
                left -= len(part)
            if real.hexdigest() != digest:
                raise _OtherContentError
        if real.hexdigest() != digest:
            raise JobError("a file of the folder has changed while it was sent", remedy="run it again")

    def copy_to(self, folder: Path, files: Sequence[CodeFile]) -> None:
        """Make a copy of the files, which its owner may change."""
        folder.mkdir(mode=0o700)
        for file in files:
            place = folder / file.path
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = self._path(file.digest)
            if file.is_link:
                place.symlink_to(kept.read_text(encoding="utf-8", errors="surrogateescape"))
            else:
                shutil.copyfile(kept, place)
                place.chmod(0o700 if file.is_program else 0o600)

    def sweep(self) -> None:
        """Delete what no job has used for long."""
        oldest = utc_now().timestamp() - _KEPT_S
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


class _OtherContentError(Exception):
    """A content does not have the digest that it should have."""
