"""A program on the laptop that connects to a node's SSH server by its input and output, such as ``aws ssm``."""

from __future__ import annotations

import os
import shlex
import tempfile
import threading
from typing import IO, TYPE_CHECKING

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.laptop.processes import end_program, read_end, start_connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node

TIMEOUT_S = 30.0
"""Seconds until the program has started and the node's SSH server has sent its greeting."""
_TAIL_LINES = 3
_TAIL_BYTES = 2000
_PLUGIN = "the AWS CLI, version 2, needs the Session Manager plugin: install `session-manager-plugin` on this computer"
_HOW_TO_INSTALL = {"aws": "install the AWS CLI, version 2, and the Session Manager plugin for it, on this computer"}
_FINAL_FAILURES = (
    ("SessionManagerPlugin is not found", _PLUGIN),
    ("Unable to locate credentials", "log in to AWS on this computer (aws configure, or aws sso login)"),
    ("ExpiredToken", "log in to AWS anew (aws sso login, or new keys), then run the same command again"),
    ("Token has expired", "log in to AWS anew (aws sso login), then run the same command again"),
    ("AccessDenied", "have an administrator of the AWS account allow it to you"),
)
"""Messages of programs after which waiting does not help, each with its remedy."""


class ProxyCommand:
    """A running program and the socket that is its input and output. paramiko uses this object as a socket.

    The program ends when its input ends, which includes the death of this process, or when `close` ends it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start the program.

        Raises:
            OSError: the program is not installed, or cannot be run.
        """
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._closed = False
        self._last_stderr = ""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the program; a pipe could fill up
        try:
            self._process, self.sock = start_connected(self._command, self._stderr)
        except OSError:
            self._closed = True
            self._stderr.close()
            raise

    def recv(self, size: int) -> bytes:
        """Return what the program wrote; empty once it has ended."""
        return self.sock.recv(size)

    def send(self, data: bytes) -> int:
        """Send data to the program. Return how many bytes it took."""
        return self.sock.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """Set how long `recv` and `send` may take."""
        self.sock.settimeout(seconds)

    def read_stderr(self) -> str:
        """Return the last lines of the program's standard error, joined to one line."""
        with self._lock:  # paramiko may close the socket from a thread of its own
            return self._last_stderr if self._closed else _read_tail(self._stderr)

    def quote_stderr(self) -> str:
        """Return the same text in brackets, to append to an error message; empty if there is no output."""
        said = self.read_stderr()
        return f" ({self._command[0]} said: {said})" if said else ""

    def close(self) -> None:
        """End the program and its child processes. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.sock.close()
                end_program(self._process)
                self._last_stderr = _read_tail(self._stderr)
                self._stderr.close()


def _read_tail(file: IO[bytes]) -> str:
    text = read_end(file, _TAIL_BYTES).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-_TAIL_LINES:])


def start_proxy(node: Node) -> ProxyCommand:
    """Start the program that connects to a node.

    Raises:
        RefusedError: the program does not exist.
    """
    program = node.access.command[0]
    try:
        return ProxyCommand(node.access.command)
    except (FileNotFoundError, PermissionError) as exc:
        name = os.path.basename(program)  # noqa: PTH119  a name, found or not
        raise RefusedError(
            f"{node.alias}: {program}, which is the way to it, cannot be run here: {exc.strerror}",
            remedy=_HOW_TO_INSTALL.get(name, f"install {name} on this computer, or put it on the PATH"),
            node=node.alias,
        ) from exc


def proxy_error(node: Node, proxy: ProxyCommand, exc: Exception) -> RemoteError:
    """Return the error for a node that could not be reached through its program, or not yet."""
    program, said = node.access.command[0], proxy.read_stderr()
    for sign, remedy in _FINAL_FAILURES:
        if sign in said:
            return RefusedError(f"{node.alias}: {program}: {said}", remedy=remedy, node=node.alias)
    return RemoteError(
        f"{node.alias} does not answer through {program}: {str(exc) or type(exc).__name__}" + proxy.quote_stderr(),
        remedy=f"see `clusterctl status {node.cluster}`; the way there is: {shlex.join(node.access.command)}",
        node=node.alias,
    )
