"""A program on the laptop whose input and output are the way to a node's SSH server, such as ``aws ssm``."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.errors import RefusedError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node

TIMEOUT_S = 30.0
"""How long it may take to start and to get there, until the node's SSH server greets."""
_GRACE_S = 1.0
"""How long the program may take to end once it is told to."""
_TAIL_LINES = 3
_TAIL_BYTES = 2000
_PLUGIN = "the AWS CLI, version 2, needs the Session Manager plugin: install `session-manager-plugin` on this computer"
_SOURCES = {"aws": "install the AWS CLI, version 2, and the Session Manager plugin for it, on this computer"}
_FINAL = (
    ("SessionManagerPlugin is not found", _PLUGIN),
    ("Unable to locate credentials", "log in to AWS on this computer (aws configure, or aws sso login)"),
    ("ExpiredToken", "log in to AWS anew (aws sso login, or new keys), then run the same command again"),
    ("Token has expired", "log in to AWS anew (aws sso login), then run the same command again"),
    ("AccessDenied", "have an administrator of the AWS account allow it to you"),
)
"""What programs say where waiting will not help, and what will."""


class Relay:
    """A running program, and a socket that is its input and output; to paramiko it is that socket.

    The program inherits the other end of the socket, so nothing is copied in between. It ends when its input does,
    which is also when this process dies, or when it is told to by `close`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start it.

        Raises:
            OSError: it is not installed, or cannot be run.
        """
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._closed = False
        self._last = ""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the program; a pipe could fill up
        self.sock, theirs = socket.socketpair()
        try:
            # A session of its own: Ctrl-C on this terminal is not for it, and what it starts ends with it.
            self._process = subprocess.Popen(
                self._command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._said.fileno(),
                start_new_session=True,
            )
        except OSError:
            self._closed = True
            self.sock.close()
            self._said.close()
            raise
        finally:
            theirs.close()

    def recv(self, size: int) -> bytes:
        """What it wrote; nothing once it has ended."""
        return self.sock.recv(size)

    def send(self, data: bytes) -> int:
        """Give it some of this; returns how many bytes it took."""
        return self.sock.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """How long `recv` and `send` may take."""
        self.sock.settimeout(seconds)

    def said(self) -> str:
        """The end of what it wrote to its standard error, on one line."""
        with self._lock:  # paramiko closes what fails, in a thread of its own
            return self._last if self._closed else _tail(self._said.fileno())

    def quoted(self) -> str:
        """The same, to follow what else is known of a failure; nothing if it said nothing."""
        said = self.said()
        return f" ({self._command[0]} said: {said})" if said else ""

    def close(self) -> None:
        """End it, and what it started. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.sock.close()
                self._end()
                self._last = _tail(self._said.fileno())
                self._said.close()

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            # Nobody has waited for it yet, so its number is still its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
                return


def _tail(file: int) -> str:
    size = os.fstat(file).st_size
    text = os.pread(file, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-_TAIL_LINES:])


def start(node: Node) -> Relay:
    """The program that is the way to a node, started.

    Raises:
        RefusedError: it is not there.
    """
    program = node.access.command[0]
    try:
        return Relay(node.access.command)
    except (FileNotFoundError, PermissionError) as exc:
        name = os.path.basename(program)  # noqa: PTH119  a name, found or not
        raise RefusedError(
            f"{node.alias}: {program}, which is the way to it, cannot be run here: {exc.strerror}",
            remedy=_SOURCES.get(name, f"install {name} on this computer, or put it on the PATH"),
            node=node.alias,
        ) from exc


def trouble(node: Node, relay: Relay, exc: Exception) -> RemoteError:
    """What to tell of a node that could not be reached by its program, or not yet."""
    program, said = node.access.command[0], relay.said()
    for sign, remedy in _FINAL:
        if sign in said:
            return RefusedError(f"{node.alias}: {program}: {said}", remedy=remedy, node=node.alias)
    return RemoteError(
        f"{node.alias} does not answer through {program}: {str(exc) or type(exc).__name__}" + relay.quoted(),
        remedy=f"see `clusterctl status {node.cluster}`; the way there is: {shlex.join(node.access.command)}",
        node=node.alias,
    )
