"""Copies of files and folders, between this computer and a node: one command on the node for each, and one stream."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import LostError, RemoteError
from clusterctl.node.streamed import running_program
from clusterctl.on_node.system.copying.frames import Copied as Copied
from clusterctl.on_node.system.copying.frames import CopyError, Omitted
from clusterctl.on_node.system.copying.frames import Totals as Totals
from clusterctl.on_node.system.copying.receiving import receive
from clusterctl.on_node.system.copying.sending import Outgoing
from clusterctl.remote.running import ErrorReader, send_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import PurePosixPath

    from clusterctl.remote.base import Remote, RunningCommand

    OnProgress = Callable[[int, Totals], None]
    """Called with the number of bytes that were copied, and what there is to copy."""

_PROGRAM = "clusterctl.on_node.system.copying.program"
_IDLE_S = 120.0
"""How long a node may be silent: it may have a million files to rename."""
_LONGEST_ANSWER = 16 << 20
_LONGEST_ERROR = 4096


@dataclass(frozen=True)
class Target:
    """Where a copy goes to."""

    path: PurePosixPath | Path
    into: bool
    """Put it into the folder of that name, even if there is none yet."""


def copy_to_node(remote: Remote, sources: Sequence[Path], target: Target, on_progress: OnProgress) -> Copied:
    """Copy files and folders to a node: all of it, or what could be read, or nothing.

    Raises:
        RemoteError: the node refused it or was lost; nothing was copied.
    """
    outgoing = Outgoing(sources)
    values = {"target": str(target.path), "into": target.into}
    with running_copy(remote, values, f"copy to {target.path}") as running:
        errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
        send_input(running, reported(outgoing, on_progress))
        answer = read_answer(running)
        check_status(remote, running, errors, f"copy to {target.path}")
    try:
        told = json.loads(answer)
        omitted = [Omitted(str(path), str(why)) for path, why in told["omitted"]]
        return Copied(int(told["files"]), int(told["size"]), omitted)
    except (ValueError, KeyError, TypeError) as exc:
        raise copy_error(remote, f"copy to {target.path}", "its answer makes no sense") from exc


def reported(outgoing: Outgoing, on_progress: OnProgress) -> Iterator[bytes]:
    """Yield the parts of a copy, and tell of each when it is gone."""
    sent = 0
    for part in outgoing.stream():
        yield part
        sent = min(sent + len(part), outgoing.totals.size)
        on_progress(sent, outgoing.totals)


def copy_from_node(remote: Remote, sources: Sequence[PurePosixPath], target: Target, on_progress: OnProgress) -> Copied:
    """Copy files and folders from a node, whose word is not believed: no path and no link leads out of the target.

    Args:
        remote: the node.
        sources: paths there; one that nothing has is a pattern.
        target: where to, on this computer.
        on_progress: called as bytes arrive.

    Raises:
        RemoteError: the node has none of them or was lost; nothing was copied.
    """
    names = [str(path) for path in sources]
    with running_copy(remote, {"sources": names}, f"copy of {', '.join(names)}") as running:
        errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
        try:
            copied = receive(
                running,
                Path(target.path),
                into=target.into,
                trusted=False,
                on_progress=lambda _, size, totals: on_progress(size, totals),
            )
        except CopyError as exc:
            running.close()
            raise copy_error(remote, "copy", _last_line(errors.finish()) or str(exc)) from exc
        check_status(remote, running, errors, "copy")
        return copied


@contextmanager
def running_copy(
    remote: Remote, values: dict[str, object], name: str, *, module: str = _PROGRAM
) -> Iterator[RunningCommand]:
    """Have the program run on the node; what is behind its text on stdin is the copy."""
    try:
        with running_program(remote, module, values, idle_s=_IDLE_S) as running:
            yield running
    except TimeoutError as exc:
        raise copy_error(remote, name, f"it was silent for {_IDLE_S:.0f} s", error=LostError) from exc


def read_answer(running: RunningCommand) -> bytes:
    """Return all that a node says until it ends."""
    answer = b""
    while len(answer) < _LONGEST_ANSWER and (chunk := running.read()):
        answer += chunk
    return answer


def check_status(remote: Remote, running: RunningCommand, errors: ErrorReader, name: str) -> None:
    """Raise an error where the program has not ended well."""
    status = running.wait()
    if status < 0:
        raise copy_error(remote, name, "the connection was lost", error=LostError)
    if status:
        raise copy_error(remote, name, _last_line(errors.finish()) or f"it ended with status {status}")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def copy_error(remote: Remote, name: str, why: str, *, error: type[RemoteError] = RemoteError) -> RemoteError:
    """Return the error of a copy that was not made."""
    alias, user = remote.node.alias, remote.node.user
    remedy = f"nothing was copied; check both paths, and that {user} may read and write them there"
    return error(f"{alias}: {name}: {why}", remedy=remedy, node=alias)
