"""A node over SSH: commands, scripts, files and shells on one connection, which login.py opens."""

from __future__ import annotations

import secrets
import shlex
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Stopwatch
from clusterctl.errors import LostError, RemoteError
from clusterctl.model import Facet
from clusterctl.remote import transfer
from clusterctl.remote.base import Result
from clusterctl.remote.failures import remedy_for
from clusterctl.remote.gateways import Gateways
from clusterctl.remote.login import log_in
from clusterctl.remote.node_log import note_command
from clusterctl.remote.owner import NOT_OWNED, SHELL, prepare, refusal
from clusterctl.remote.quoting import quote_for_login_shell
from clusterctl.remote.running import (
    MOST_OUTPUT,
    ErrorReader,
    SSHCommand,
    answers,
    close_late,
    ended_if_deaf,
    read_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path, PurePosixPath

    from clusterctl.model import Node
    from clusterctl.remote.owner import Owner

_TAIL_LINES = 12
_IDLE_S = 120.0
"""How long a transfer may stand still."""
_ANSWER_S = 120.0
"""How long a script that only reads may take, if nothing else is said: a node that means ill would never end it."""
_SILENT_S = 60.0
"""How long a command may be silent before the node's SSH server is asked whether it lives."""
_LOST = -1  # paramiko's exit status of a command whose connection has ended
_CHANNEL_TIMEOUT_S = 60.0
"""Seconds until a command begins after the login: a node that boots is busy; a dead connection is noticed sooner."""


class SSHRemote:
    """`Remote` through fabric. One connection, made when first needed; several threads may run commands."""

    def __init__(
        self,
        node: Node,
        *,
        key: Path,
        known_hosts: Path,
        log: Path,
        gateways: Gateways | None = None,
        owner: Callable[[], Owner | None] = lambda: None,
    ) -> None:
        """Prepare the connection. Nothing is sent yet.

        Args:
            node: the node to connect to.
            key: the cluster's own private key.
            known_hosts: the file with the pinned host keys.
            log: the file that gets each command with its output.
            gateways: the connections to jump hosts, shared with the other nodes of the cluster.
            owner: who sends scripts now; None for commands that only read.
        """
        self.node = node
        self.commands = 0
        self._key = key
        self._known_hosts = known_hosts
        self._log = log
        self._gateways = gateways or Gateways()
        self._owner = owner
        self._lock = threading.Lock()
        self._connection: Any = None
        self._asking = threading.Lock()
        self._closed = False
        self._mark = f"clusterctl-{secrets.token_hex(8)}"

    def when_reachable(self, then: Callable[[], None]) -> None:
        if self._is_up() or self._closed:
            then()
        else:
            self._gateways.when_reachable(self.node, then)

    def connect(self) -> None:
        with self._lock:
            if self._is_up() or self._closed:
                return
            if self._connection is not None:  # it broke
                self._connection.close()
                self._connection = None
            self._connection = log_in(self.node, key=self._key, known_hosts=self._known_hosts, gateways=self._gateways)

    def _is_up(self) -> bool:
        return self._connection is not None and self._connection.is_connected

    def _ensure_connected(self) -> None:
        """Log in at the first use. A broken connection is not replaced here: the caller must see that it broke."""
        if self._connection is None:
            self.connect()

    def run(
        self,
        command: str,
        *,
        stdin: str = "",
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        timeout_s: float | None = None,
        secret: bool = False,
        sudo: bool = False,
    ) -> Result:
        marked = quote_for_login_shell(f"echo {self._mark}; {command}")
        line = self._sudo_prefix(sudo) + marked + ("" if stdin else " </dev/null")
        return self._run_line(line, command, stdin, check=check, on_line=on_line, timeout_s=timeout_s, secret=secret)

    def run_script(
        self,
        script: str,
        *,
        name: str = "script",
        on_line: Callable[[str], None] | None = None,
        timeout_s: float | None = None,
        secret: bool = False,
        sudo: bool = False,
        reads: bool = False,
    ) -> Result:
        owner = None if reads else self._owner()
        shell, text = prepare(script, owner, self.node, sudo=sudo, word=self._mark)
        return self._run_line(
            self._sudo_prefix(sudo) + shell,
            name,
            text,
            check=True,
            on_line=on_line,
            timeout_s=_ANSWER_S if reads and timeout_s is None else timeout_s,
            secret=secret,
        )

    def start_command(self, command: str, *, idle_s: float | None = None) -> SSHCommand:
        self._ensure_connected()
        # A shell stays, to tell of a signal by its status: SSH's own word for it is lost on the way. It has nothing to
        # say for itself.
        quiet = f"exec 3>&2 2>/dev/null; (exec sh -c {shlex.quote(command)} 2>&3 3>&-); exit $?"
        try:
            # Without a limit it may be silent for as long as it likes, and its end is that of a server that is deaf.
            still = None if idle_s else lambda: self._ask_server() or True
            line = quote_for_login_shell(f"echo {self._mark}; {quiet}")
            return self._open_command(line, idle_s=idle_s or _SILENT_S, still=still)
        except Exception as exc:
            raise self._lost_error(command.partition("\n")[0][:80], str(exc) or type(exc).__name__) from exc

    def _open_command(
        self, line: str, *, idle_s: float | None = None, still: Callable[[], bool] | None = None
    ) -> SSHCommand:
        """Start a command whose own output begins with the mark: what comes before is the login shell's."""
        with self._lock:
            self.commands += 1
            channel = self._connection.transport.open_session(timeout=_CHANNEL_TIMEOUT_S)
        channel.settimeout(idle_s)
        channel.exec_command(line)
        return SSHCommand(channel, f"{self._mark}\n".encode(), answers=still)

    def _ask_server(self) -> bool:
        return answers(self._connection.transport, self._asking)

    def _sudo_prefix(self, sudo: bool) -> str:  # noqa: FBT001  private, and named like the option
        """Return the prefix that runs a command as root; empty if the login is root or owns the whole node."""
        needed = sudo and Facet.MACHINE in self.node.facets and self.node.user != "root"
        return "sudo -n -- " if needed else ""

    def _run_line(
        self,
        command: str,
        name: str,
        stdin: str,
        *,
        check: bool,
        on_line: Callable[[str], None] | None,
        timeout_s: float | None,
        secret: bool,
    ) -> Result:
        self._ensure_connected()
        watch = Stopwatch()
        try:
            status, out, err = self._run_on_channel(command, stdin, on_line, timeout_s)
        except Exception as exc:
            raise self._lost_error(name, f"{str(exc) or type(exc).__name__}") from exc
        said = "(not shown: holds secrets)" if secret else out
        note_command(self._log, name, status, said + err, watch.elapsed_s)
        if status == _LOST:
            late = timeout_s is not None and watch.elapsed_s >= timeout_s
            raise self._lost_error(name, f"no end after {timeout_s:.0f} s" if late else "the connection was lost", err)
        if status == NOT_OWNED and (refused := refusal(err, self.node, word=self._mark)):
            raise refused
        if check and status != 0:
            raise self._failure_error(name, status, err.strip() or ("" if secret else out))
        return Result(status, out, err)

    def _run_on_channel(
        self, command: str, stdin: str, on_line: Callable[[str], None] | None, timeout_s: float | None
    ) -> tuple[int, str, str]:
        running = self._open_command(command, idle_s=_SILENT_S, still=self._ask_server)
        timer = threading.Timer(timeout_s, close_late, [running]) if timeout_s is not None else None
        try:
            if timer:
                timer.daemon = True
                timer.start()
            errors = ErrorReader(running.read_errors, keep=MOST_OUTPUT, give_up=running.close)
            if stdin:
                with suppress(OSError):  # the command may end without reading all of it
                    running.write(stdin.encode())
            if stdin and not command.endswith(SHELL):
                # Sent only where the command waits for it: paramiko may send it after the other side has closed the
                # channel, and a message to a channel that is gone ends the whole connection.
                running.end_input()
            out = read_lines(running.read, on_line)
            err = errors.finish()
            return running.wait(), out, err
        finally:
            if timer:
                timer.cancel()
            running.close()

    def put(self, local: Path, remote: PurePosixPath) -> None:
        command = transfer.put_command(local, remote)
        self._copy(f"put {local}", command, lambda running: transfer.send_file(running, local))

    def get(self, remote: PurePosixPath, local: Path) -> None:
        command = transfer.get_command(remote)
        self._copy(f"get {remote}", command, lambda running: transfer.receive_file(running, local))

    def _copy(self, name: str, command: str, copy: Callable[[SSHCommand], None]) -> None:
        running = self.start_command(command, idle_s=_IDLE_S)
        try:
            copy(running)
        except OSError as exc:
            raise RemoteError(
                f"{self.node.alias}: {name}: {exc.strerror or exc or 'no answer'}",
                remedy=f"check that both paths exist and that {self.node.user} may read and write them there",
                node=self.node.alias,
            ) from exc
        finally:
            running.close()

    def shell(self, command: str = "") -> int:
        from invoke.exceptions import UnexpectedExit

        self._ensure_connected()
        try:
            with ended_if_deaf(self._ask_server, _SILENT_S):
                if command:
                    quoted = quote_for_login_shell(command)
                    result = self._connection.run(quoted, pty=True, in_stream=None, warn=True, hide=False)
                else:
                    result = self._connection.shell()
        except UnexpectedExit as exc:  # the shell ended with the status of its last command
            result = exc.result
        if result.exited == _LOST:
            raise self._lost_error(command.partition("\n")[0][:80] or "shell", "the connection was lost")
        return int(result.exited)

    def close(self) -> None:
        # Without the lock: a thread that is connecting holds it, and that thread must be cut off.
        self._closed = True
        connection = self._connection
        if connection is not None and connection.client is not None:
            connection.client.close()
        self._gateways.release_node(self.node)

    def _lost_error(self, name: str, why: str, output: str = "") -> LostError:
        return LostError(
            f"{self.node.alias}: {name}: {why}",
            remedy=f"see {self._log} and `clusterctl status {self.node.cluster}`",
            node=self.node.alias,
            output=output,
        )

    def _failure_error(self, name: str, status: int, output: str) -> RemoteError:
        tail = "\n".join(output.strip().splitlines()[-_TAIL_LINES:])
        return RemoteError(
            f"{self.node.alias}: {name} ended with status {status}" + (f":\n{tail}" if tail else ""),
            remedy=remedy_for(output, user=self.node.user) or f"see {self._log}",
            node=self.node.alias,
            status=status,
            output=output,
        )
