"""A worker's way to the controller: through SSH, by which members log in to each other anyway.

The controller listens for clients on the master's loopback. One `ssh` for each process forwards its ports. It ends when
its input ends, and so lives no longer than the process.
"""

from __future__ import annotations

import atexit
import json
import shlex
import socket
import subprocess
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from clusterctl.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

_SSH = (
    *("ssh", "-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=15"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
)
_ANSWER_S = 60
_READY = "clusterctl: ready"
_TRIES = 3
"""A port that was free may be taken a moment later."""


class Way:
    """The forwarded ports of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._document: dict[str, Any] = {}

    def document(self, master: str, file: Path) -> dict[str, Any]:
        """Return what the master's connection file says, with ports of this node. Opens the way if it is not open.

        Raises:
            StateError: the master cannot be reached so.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._end()
                remote = _read_remote(master, file)
                self._process, ports = _forward(master, remote)
                self._document = {**remote, **ports, "interface": "tcp://127.0.0.1", "location": "127.0.0.1", "ssh": ""}
                atexit.register(self.close)
            return dict(self._document)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


WAY = Way()
"""That of this process."""


def _read_remote(master: str, file: Path) -> dict[str, Any]:
    command = [*_SSH, master, f"cat {shlex.quote(str(file))}"]
    try:
        said = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _unreachable(master, str(exc)) from exc
    try:
        content = json.loads(said.stdout)
        if said.returncode == 0 and isinstance(content, dict):
            return content
    except ValueError:
        pass
    raise _unreachable(master, (said.stderr.strip().splitlines() or ["it has no connection file"])[-1])


def _forward(master: str, document: dict[str, Any]) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """Return the process that forwards ports to those of the document, and the ports by their names."""
    remote = {name: port for name, port in document.items() if isinstance(port, int) and not isinstance(port, bool)}
    for _ in range(_TRIES):
        ports = _free_ports(list(remote))
        forwards = [f"-L127.0.0.1:{ports[name]}:127.0.0.1:{port}" for name, port in remote.items()]
        process = subprocess.Popen(
            [*_SSH, "-q", *forwards, master, f"echo '{_READY}'; exec cat >/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a controller that is down has it say so again and again
            text=True,
            start_new_session=True,  # Ctrl-C is for the program
        )
        late = threading.Timer(_ANSWER_S, process.kill)
        late.start()
        try:
            if process.stdout and _READY in process.stdout.readline():
                return process, ports
        finally:
            late.cancel()
        process.kill()
        process.communicate()
    raise _unreachable(master, "its ports cannot be forwarded")


def _free_ports(names: list[str]) -> dict[str, int]:
    with ExitStack() as opened:
        probes = {name: opened.enter_context(socket.socket()) for name in names}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        return {name: probe.getsockname()[1] for name, probe in probes.items()}


def _unreachable(master: str, trouble: str) -> StateError:
    return StateError(
        f"the controller cannot be reached through the master, {master}: {trouble}",
        remedy="connect as the cluster's user: members let in that one alone",
    )
