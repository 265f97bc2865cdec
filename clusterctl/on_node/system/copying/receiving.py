"""A stream to files and folders: built aside, then renamed, so that a copy is there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from .aside import built_aside
from .frames import Copied, CopyError, FrameKind, FrameReader, Omitted, name_error, number_in, parse_json, show_name
from .placing import put_in_place, set_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .frames import Source, Totals

_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE})
"""Where these come up, no further file can be made either."""
_NOT_ON_WINDOWS = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$', re.IGNORECASE)


def receive(
    source: Source,
    target: Path,
    *,
    into: bool,
    trusted: bool,
    on_progress: Callable[[int, int, Totals], None] = lambda *_: None,
) -> Copied:
    """Take in a stream, and put what it brings in its place.

    A single folder becomes `target`; where there is a folder of that name, its files are replaced and its others stay.
    A single file becomes `target`, or goes into the folder of that name. Missing folders above it are made.

    Args:
        source: the stream.
        target: where to. A link of that name is followed, others on the way to a file are not.
        into: put all of it into the folder `target`, which may be missing.
        trusted: whether links may lead out of what is copied.
        on_progress: called with the files and the bytes that have arrived, and the totals.

    Raises:
        CopyError: nothing was copied; or the message says what was.
    """
    target = target.resolve()
    frames = FrameReader(source)
    totals = frames.read_start()
    try:
        with built_aside(target) as aside:
            tree = _Tree(aside, trusted=trusted)
            with closing(tree):
                for kind, body in frames:
                    tree.take(kind, body)
                    on_progress(tree.files, tree.size, totals)
            into = into or len(tree.roots) > 1
            put_in_place(aside, tree.roots, tree.folders, target, into=into)
            return Copied(tree.files, tree.size, tree.omitted)
    except OSError as exc:
        raise CopyError(f"{show_name(exc.filename or target)}: {name_error(exc)}") from exc


class _OpenFile(NamedTuple):
    file: IO[bytes]
    place: Path
    head: dict[str, Any]


class _Tree:
    """What a stream brings, as it is built aside."""

    def __init__(self, aside: Path, *, trusted: bool) -> None:
        self.files = self.size = 0
        self.omitted: list[Omitted] = []
        self.roots: list[str] = []
        self.folders: dict[str, tuple[int, int]] = {}
        """Mode and time of each, by their paths; each stands before those below it."""
        self._aside = aside
        self._trusted = trusted
        self._open: _OpenFile | None = None

    def close(self) -> None:
        """Close the file that is not whole, if there is one."""
        if self._open:
            self._open.file.close()

    def take(self, kind: FrameKind, body: bytes) -> None:
        """Build what one frame tells of."""
        if kind is FrameKind.DATA:
            if self._open:  # else the file was left out
                self._open.file.write(body)
                self.size += len(body)
        elif kind is FrameKind.END_OF_FILE:
            self._end_file(parse_json(body))
        elif kind is FrameKind.OMITTED:
            told = parse_json(body)
            self.omitted.append(Omitted(show_name(told.get("path")), show_name(told.get("why"))))
        else:
            self._begin_entry(parse_json(body))

    def _begin_entry(self, head: dict[str, Any]) -> None:
        path = head.get("path")
        try:
            if not isinstance(path, str):
                raise ValueError("it has no name")  # noqa: TRY004  whatever the sender does is told in one way
            self._check_path(path)
            self._build(path, self._aside.joinpath(*path.split("/")), head)
        except (OSError, ValueError) as exc:
            if isinstance(exc, OSError) and exc.errno in _FATAL:
                raise
            self.omitted.append(Omitted(show_name(path), name_error(exc)))
            return
        if "/" not in path:
            self.roots.append(path)

    def _build(self, path: str, place: Path, head: dict[str, Any]) -> None:
        kind, mode, time_ns = head.get("kind"), number_in(head, "mode"), number_in(head, "time")
        if kind == "folder":
            place.mkdir(0o700)
            self.folders[path] = mode, time_ns
        elif kind == "file":
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._open = _OpenFile(os.fdopen(os.open(place, flags, 0o600), "wb"), place, head)
        elif kind == "link":
            place.symlink_to(self._check_link(path, head.get("target")))
        elif kind == "pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(place, 0o600)
            set_facts(place, mode, time_ns)
        else:
            raise ValueError(f"it is a {show_name(kind)}, which this system does not have")

    def _check_path(self, path: str) -> None:
        """Refuse a path that is not right below a folder which this stream has brought."""
        above, _, name = path.rpartition("/")
        if name in ("", ".", "..") or "\0" in name or os.sep in name:
            raise ValueError("nothing can have this name")
        if os.name == "nt" and _NOT_ON_WINDOWS.search(name):
            raise ValueError("Windows cannot have this name")
        if "/" in path and above not in self.folders:
            raise ValueError("the folder that it is in was not copied")

    def _check_link(self, path: str, target: object) -> str:
        """Return where a link leads. One that is not trusted may go up first, and then down, within what is copied."""
        if not isinstance(target, str) or not target or "\0" in target:
            raise ValueError("it is a link to nowhere")
        parts = [part for part in target.split("/") if part not in ("", ".")]
        ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
        # A step up behind a step down could start from wherever another link leads.
        inside = ups < path.count("/") and ".." not in parts[ups:] and not target.startswith("/")
        if not self._trusted and (not inside or os.name == "nt"):
            raise ValueError(f"it is a link to {show_name(target)}, outside of what is copied")
        return target

    def _end_file(self, told: dict[str, Any]) -> None:
        if self._open is None:
            return
        file, place, head = self._open
        self._open = None
        file.close()
        if told.get("failed"):
            place.unlink()
            if head["path"] in self.roots:
                self.roots.remove(head["path"])
            self.omitted.append(Omitted(show_name(head["path"]), f"cannot be read: {show_name(told['failed'])}"))
            return
        self.files += 1
        set_facts(place, number_in(head, "mode"), number_in(head, "time"))
