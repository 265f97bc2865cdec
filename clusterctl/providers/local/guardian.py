"""The parent of a node's server: when the server ends, all that ran on the node ends, wherever it went."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, NoReturn

import psutil

from clusterctl.providers.local.nodes import Record, Running, write_json
from clusterctl.providers.local.processes import (
    adopt_orphans,
    await_end,
    birth_mark,
    die_with_parent,
    signal_all,
    strays,
    sweep,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

GRACE_S = 3.0
"""Between asking the processes of a node to end and ending them, at an orderly power-off."""
_KILL_S = 1.0
_ROUNDS = 4


def guard(
    folder: Path,
    record: Record,
    *,
    listener: socket.socket,
    serve: Callable[[Record, Path, socket.socket], None],
    ready: int,
) -> NoReturn:
    """Run `serve` in a child, and end the node with it. Does not come back.

    Args:
        folder: the node's folder, which gets the ``pid`` file.
        record: what is known of the node.
        listener: what the server listens on.
        serve: runs until the node is powered off.
        ready: a descriptor that is closed once the ``pid`` file is there.
    """
    try:
        _detach(folder)
        adopt_orphans()
        guardian = os.getpid()
        server = os.fork()
        if server == 0:
            os.close(ready)
            _be_server(lambda: serve(record, folder, listener), guardian=guardian)
        listener.close()
        # A power-off that reaches us is one for the server; its end is what ends the node.
        signal.signal(signal.SIGTERM, lambda *_: _power_off(server))
        write_json(folder / "pid", _running(record, server=server, guardian=guardian))
        os.close(ready)
        killed = os.WIFSIGNALED(_status_of(server))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_tree(str(folder), grace_s=0 if killed else GRACE_S)
    except BaseException:  # noqa: BLE001  # a fork must not come back into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _detach(folder: Path) -> None:
    """Have no terminal, ignore the ends of those who had one, and complain into the node's own log."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    log = os.open(folder / "logs" / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)


def _be_server(serve: Callable[[], None], *, guardian: int) -> NoReturn:
    try:
        die_with_parent()
        if os.getppid() != guardian:  # it ended before we asked to go with it
            os._exit(1)
        # What is ignored here would be ignored by every program on the node.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        serve()
    except BaseException:  # noqa: BLE001  # a fork must not come back into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _power_off(server: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(server, signal.SIGTERM)


def _running(record: Record, *, server: int, guardian: int) -> Running:
    return Running(
        boot=record.boot,
        pid=server,
        mark=birth_mark(server),
        guardian=guardian,
        guardian_mark=birth_mark(guardian),
    )


def _status_of(server: int) -> int:
    """Wait for the server's end, and bury the orphans that end before it."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == server:
            return status


def end_tree(root: str, *, grace_s: float) -> None:
    """End every process below this one, and every other that has `root` in its environment.

    Args:
        root: the node's folder.
        grace_s: how long they may take to end by themselves after being asked; 0 asks nobody.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    if grace_s and not _buried_all(0):
        signal_all(_descendants(), signal.SIGTERM)
        _buried_all(grace_s)
    elif grace_s and (left := strays({root})):
        signal_all(left, signal.SIGTERM)
        await_end(left, timeout_s=grace_s)
    for _ in range(_ROUNDS):  # not for ever: what took another user's rights is out of reach
        if _buried_all(0):
            break
        signal_all(_frozen_descendants(), signal.SIGKILL)
        _buried_all(_KILL_S)
    sweep({root}, timeout_s=_KILL_S)


def _descendants() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def _frozen_descendants() -> list[psutil.Process]:
    """All below us, stopped: what cannot run cannot fork while we count."""
    frozen: set[psutil.Process] = set()
    while running := set(_descendants()) - frozen:
        signal_all(running, signal.SIGSTOP)
        frozen |= running
    return list(frozen)


def _buried_all(timeout_s: float) -> bool:
    """Bury the dead until no child is left (True) or the time is over. The orphans are ours, too."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        if sys.platform == "linux":
            signal.sigtimedwait({signal.SIGCHLD}, left_s)
        else:  # nobody is left: orphans are not ours there
            return False
