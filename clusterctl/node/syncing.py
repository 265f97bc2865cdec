"""A folder here to a node that may have most of it: only what differs travels, in one command and one stream."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from clusterctl.node.copying import check_status, copy_error, read_answer, reported, running_copy
from clusterctl.on_node.system.copying.comparing import describe
from clusterctl.on_node.system.copying.frames import Omitted, name_error
from clusterctl.on_node.system.copying.sending import Entry, Outgoing, list_source
from clusterctl.remote.running import ErrorReader, send_input
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from clusterctl.node.copying import OnProgress, Target
    from clusterctl.remote.base import Remote, RunningCommand

_PROGRAM = "clusterctl.on_node.system.copying.comparing"
_LONGEST_ANSWER = 64 << 20
_LONGEST_ERROR = 4096


@dataclass(frozen=True)
class Synced:
    """What was sent to a node, or would be."""

    sent: tuple[str, ...]
    """Paths of files and links, below the folder; the file's name where it is one file."""
    size: int
    """Bytes that were sent."""
    deleted: tuple[str, ...]
    unchanged: int
    """Files and links that the node had already."""
    omitted: tuple[tuple[str, str], ...]
    """What could not be copied, and why."""


class LocalTree:
    """A file or folder on this computer, as it was when it was looked at."""

    def __init__(self, root: Path, paths: Iterable[str] | None = None) -> None:
        """List what there is.

        Args:
            root: the file or folder.
            paths: of files and links below the folder, those to send; None for all that there is.
        """
        self.omitted: list[Omitted] = []
        if paths is None:
            self.entries = list(list_source(root, self.omitted))
        else:
            self.entries = self._list(root, paths)
        self.name = self.entries[0].path if self.entries else root.name

    def _list(self, root: Path, paths: Iterable[str]) -> list[Entry]:
        name = root.resolve().name or "root"
        entries = {"": Entry(name, root, root.stat())}
        for path in sorted(paths):
            above = path.split("/")[:-1]
            for count in range(1, len(above) + 1):
                folder = "/".join(above[:count])
                if folder not in entries:
                    entries[folder] = Entry(f"{name}/{folder}", root / folder, (root / folder).lstat())
            try:
                entries[path] = Entry(f"{name}/{path}", root / path, (root / path).lstat())
            except OSError as exc:  # it has just gone
                self.omitted.append(Omitted(path, name_error(exc)))
        return list(entries.values())

    def below(self, entry: Entry) -> str:
        """Return the path of something below the folder; empty for the folder itself."""
        return entry.path[len(self.name) + 1 :]

    def rows(self) -> list[list[Any]]:
        """Return what a node compares."""
        return [describe(self.below(entry), entry.status, _link_target(entry)) for entry in self.entries]

    def with_folders(self, wanted: Iterable[int]) -> list[Entry]:
        """Return these, and the folders that they are in, in the order of the tree."""
        paths = {self.entries[number].path for number in wanted}
        above = {"/".join(path.split("/")[:count]) for path in paths for count in range(1, path.count("/") + 1)}
        return [entry for entry in self.entries if entry.path in paths | above]


def _link_target(entry: Entry) -> str:
    if not stat.S_ISLNK(entry.status.st_mode):
        return ""
    try:
        return os.readlink(entry.source)  # noqa: PTH115  as it is written
    except OSError:
        return ""


def sync_to_node(
    remote: Remote,
    tree: LocalTree,
    target: Target,
    on_progress: OnProgress,
    *,
    choose_deleted: Callable[[Sequence[str]], Sequence[str]] | None = None,
    dry_run: bool = False,
) -> Synced:
    """Have a file or folder on a node become as it is here: what differs is sent, whole or not at all.

    Args:
        remote: the node.
        tree: what there is here.
        target: where it is there.
        on_progress: called as bytes leave.
        choose_deleted: of the paths that the node has and this computer has not, returns those to delete; None: none.
        dry_run: only find out.

    Raises:
        RemoteError: the node refused it or was lost; what it had is unchanged, but for a deletion that was cut off.
    """
    name = f"sync to {target.path}"
    about = {"target": str(target.path), "into": target.into, "name": tree.name, "delete": choose_deleted is not None}
    with running_copy(remote, about, name, module=_PROGRAM) as running:
        errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
        rows = tree.rows()
        # The line is read before the stream begins: both sides would wait for each other otherwise.
        running.write(json.dumps(rows).encode("ascii") + b"\n")
        line = _read_line(running)
        if not line:
            check_status(remote, running, errors, name)
        try:
            wanted, others = _parse_difference(line, len(rows))
        except (ValueError, KeyError, TypeError) as exc:
            raise copy_error(remote, name, "its answer makes no sense") from exc
        deleted = tuple(choose_deleted(others)) if choose_deleted and others else ()
        files = [number for number in range(len(rows)) if rows[number][1] != "folder"]
        sent = tuple(rows[number][0] or tree.name for number in files if number in wanted)
        size = sum(rows[number][2] for number in wanted)
        if dry_run or not (wanted or deleted):
            return Synced(sent, size, deleted, len(files) - len(sent), tuple(tree.omitted))
        head = json.dumps(deleted).encode("ascii") + b"\n"
        outgoing = Outgoing((), tree.with_folders(wanted))
        send_input(running, chain([head], reported(outgoing, on_progress) if wanted else ()))
        answer = read_answer(running)
        check_status(remote, running, errors, name)
    try:
        size, left_out = _parse_answer(answer)
    except (ValueError, KeyError, TypeError) as exc:
        raise copy_error(remote, name, "its answer makes no sense") from exc
    return Synced(sent, size, deleted, len(files) - len(sent), (*tree.omitted, *left_out))


def _read_line(running: RunningCommand) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (chunk := running.read()):
        line += chunk
        if len(line) > _LONGEST_ANSWER:
            return b"?"  # which makes no sense
    return line


def _parse_answer(answer: bytes) -> tuple[int, list[Omitted]]:
    """Return the bytes that a node has taken, and what it left out."""
    told = json.loads(answer)
    return int(told["size"]), [Omitted(clean_text(str(path)), clean_text(str(why))) for path, why in told["omitted"]]


def _parse_difference(line: bytes, count: int) -> tuple[set[int], list[str]]:
    """Return the numbers of the rows that a node lacks, and the paths that it has besides. It is a node's word.

    Raises:
        ValueError: it is none.
    """
    said = json.loads(line)
    wanted, others = set(said["wanted"]), said["others"]
    if not all(type(number) is int and 0 <= number < count for number in wanted):
        raise ValueError("no rows")
    if not isinstance(others, list) or not all(isinstance(path, str) for path in others):
        raise ValueError("no paths")
    return wanted, others
