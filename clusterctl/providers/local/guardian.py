"""The guardian: the parent of a node's server. When the server ends, it ends all processes of the node."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from typing import IO, TYPE_CHECKING, NoReturn

import psutil

from clusterctl.clock import Deadline
from clusterctl.providers.local.nodes import Record, Running, write_json
from clusterctl.providers.local.processes import (
    adopt_orphans,
    await_end,
    die_with_parent,
    find_node_processes,
    kill_node_processes,
    process_identity,
    signal_all,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from pathlib import Path

GRACE_S = 3.0
"""Seconds between SIGTERM and SIGKILL for the processes of a node, at an orderly power-off."""
_KILL_S = 1.0
_ROUNDS = 4


def run_guardian(
    folder: Path,
    record: Record,
    *,
    listener: socket.socket,
    launch: IO[bytes],
    serve: Callable[[Record, Path, socket.socket], None],
    ready: int,
) -> NoReturn:
    """Run `serve` in a child process, and end the node when it ends. Does not return.

    Args:
        folder: the node's folder, which gets the ``pid`` file.
        record: the record of the node.
        listener: the listening socket of the server.
        launch: what says that the node is being launched; closed once the ``pid`` file exists.
        serve: the server; it runs until the node is powered off.
        ready: a descriptor that is closed once the ``pid`` file exists.
    """
    try:
        _detach_from_terminal(folder)
        adopt_orphans()
        server = _Server(record, folder, lambda: serve(record, folder, listener))
        server.start(instead=(lambda: os.close(ready), launch.close))
        # A power-off signal is passed on to the server, whose end then ends the node.
        signal.signal(signal.SIGTERM, lambda *_: server.send(signal.SIGTERM))
        signal.signal(signal.SIGUSR1, lambda *_: server.renew())
        launch.close()
        os.close(ready)
        killed = os.WIFSIGNALED(server.wait())
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        listener.close()
        end_tree(str(folder), grace_s=0 if killed else GRACE_S)
    except BaseException:  # noqa: BLE001  # a forked child must not return into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _detach_from_terminal(folder: Path) -> None:
    """Leave the terminal, ignore hang-ups and Ctrl-C, and send stderr to the node's log.

    The current folder becomes the node's: it says which node this process and the server belong to.
    """
    os.setsid()
    os.chdir(folder)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    log = os.open(folder / "logs" / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)


class _Server:
    """The server, a child process. One that answers no more is followed by another one."""

    def __init__(self, record: Record, folder: Path, serve: Callable[[], None]) -> None:
        self._record = record
        self._folder = folder
        self._serve = serve
        self._guardian = os.getpid()
        self._pid = 0

    def start(self, *, instead: Iterable[Callable[[], object]] = ()) -> None:
        """Start a server and write down which process it is. It first gives up what is the guardian's alone."""
        pid = os.fork()
        if pid == 0:
            _be_server(self._serve, guardian=self._guardian, first=instead)
        self._pid = pid
        write_json(self._folder / "pid", self._describe_processes())

    def renew(self) -> None:
        """Start another server, which has the same door, then end this one: the node is never without."""
        former = self._pid
        try:
            self.start()
        except OSError:  # no process or no space left; who asked asks again
            traceback.print_exc()
            former, self._pid = self._pid, former
        with contextlib.suppress(ProcessLookupError):
            if former != self._pid:
                os.kill(former, signal.SIGKILL)

    def send(self, number: int) -> None:
        """Send a signal to the server."""
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(self._pid, number)

    def wait(self) -> int:
        """Wait for the end of the server that is not followed by another one, and return its status.

        Reap the orphans that end before.
        """
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == self._pid:
                return status

    def _describe_processes(self) -> Running:
        return Running(
            boot=self._record.boot,
            pid=self._pid,
            mark=process_identity(self._pid),
            guardian=self._guardian,
            guardian_mark=process_identity(self._guardian),
            renews=True,
        )


def _be_server(serve: Callable[[], None], *, guardian: int, first: Iterable[Callable[[], object]]) -> NoReturn:
    try:
        die_with_parent()
        if os.getppid() != guardian:  # the guardian ended before die_with_parent() took effect
            os._exit(1)
        # Every program on the node would inherit the ignored signals.
        ignored = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCHLD)
        for number in (*ignored, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        for act in first:
            act()
        serve()
    except BaseException:  # noqa: BLE001  # a fork must not come back into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def end_tree(root: str, *, grace_s: float) -> None:
    """End all descendants of this process, and all other processes with `root` in their environment.

    Args:
        root: the node's folder.
        grace_s: seconds between SIGTERM and SIGKILL; 0 sends SIGKILL at once.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    if grace_s and not _reap_children(0):
        signal_all(_list_descendants(), signal.SIGTERM)
        _reap_children(grace_s)
    elif grace_s and (left := find_node_processes({root})):
        signal_all(left, signal.SIGTERM)
        await_end(left, timeout_s=grace_s)
    for _ in range(_ROUNDS):  # bounded: processes that run as another user cannot be killed
        if _reap_children(0):
            break
        signal_all(_frozen_descendants(), signal.SIGKILL)
        _reap_children(_KILL_S)
    kill_node_processes({root}, timeout_s=_KILL_S)


def _list_descendants() -> list[psutil.Process]:
    descendants: list[psutil.Process] = psutil.Process().children(recursive=True)
    return descendants


def _frozen_descendants() -> list[psutil.Process]:
    """Return all descendants, stopped by SIGSTOP: a stopped process cannot fork while we list them."""
    frozen: set[psutil.Process] = set()
    while running := set(_list_descendants()) - frozen:
        signal_all(running, signal.SIGSTOP)
        frozen |= running
    return list(frozen)


def _reap_children(timeout_s: float) -> bool:
    """Reap ended children, orphans included. Return True once no child is left, False when the time is over."""
    deadline = Deadline.after(timeout_s)
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        if deadline.is_over:
            return False
        if sys.platform == "linux":
            signal.sigtimedwait({signal.SIGCHLD}, deadline.left_s)
        else:  # orphans are not adopted on this system
            return False
