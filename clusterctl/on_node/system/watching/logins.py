"""The SSH servers of this node: one that is stopped goes on, and one that is deaf makes room for another one.

Deaf is a server that accepts connections, or lets them wait, and does not greet. A connection that is closed at once is
an answer: somebody may have taken all places. Who is logged in stays so, but on a local node.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

from . import processes
from .judging import Judge

_PART = "the SSH server"
_FIND_EVERY = 5
"""Looks: to find the servers costs more than all else."""
_GREET_EVERY = 4
"""Times that they are found. OpenSSH writes a line into its log each time that it is tried; one that lets somebody wait
is tried at once."""
_YOUNG_S = 30.0
"""A server greets as soon as it listens. This watch may be younger than a server that was deaf before."""
_GREETING_S = 3.0
_OWN_GREETING = b"SSH-2.0-clusterctl_watch\r\n"
_BACK_S = 5.0
_POLL_S = 0.1
_UNIT = re.compile(r"/([\w@.:-]+\.service)$", re.MULTILINE)
_TITLE = re.compile(r"sshd: (.+) \[listener\]")


class Server(NamedTuple):
    """A process that listens for logins."""

    pid: int
    doors: list[processes.Door]
    command: list[str]
    """What starts another one where nothing else does; empty on a local node."""


class Logins:
    """What is remembered of the servers.

    Args:
        root: the folder of a local node, whose own server alone may be ended; empty on a machine.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._judges: dict[int, Judge] = {}
        self._suspects: set[int] = set()
        self._looks = self._rounds = 0

    def look(self) -> list[str]:
        """Look after them once; return what was done, for the log."""
        is_due = self._looks % _FIND_EVERY == 0
        self._looks += 1
        self._rounds += is_due
        if not is_due and not self._suspects:
            return []
        pids = processes.ssh_servers()
        if self._root:  # others are other nodes' affair, and may be other clusters'
            pids = [pid for pid in pids if pid == _local(self._root).get("pid")]
        woken = processes.wake(pids)
        said = [f"{_PART}: was stopped, and goes on: {', '.join(map(str, woken))}"] if woken else []
        servers = [server for server in find_servers(pids, self._root) if server.pid not in woken]
        self._judges = {server.pid: self._judges.get(server.pid) or Judge(_YOUNG_S) for server in servers}
        self._suspects &= set(self._judges)
        for server in servers:
            if self._is_due(server) and (why := self._judge(server)):
                said.append(f"{why}: another one starts")
                self._replace(server)
        return said

    def _is_due(self, server: Server) -> bool:
        """Return whether a server is to be tried: it is new, or lets somebody wait, or was not tried for a while."""
        is_new = self._judges[server.pid].pid != server.pid
        waits = any(door.waiting for door in server.doors)
        return is_new or waits or server.pid in self._suspects or self._rounds % _GREET_EVERY == 0

    def _judge(self, server: Server) -> str:
        trouble = "" if all(map(greets, server.doors)) else "does not greet"
        (self._suspects.add if trouble else self._suspects.discard)(server.pid)
        findings = {"parts": [{"part": _PART, "pid": server.pid, "trouble": trouble}]}
        return self._judges[server.pid].hear(server.pid, findings)

    def _replace(self, server: Server) -> None:
        self._suspects.discard(server.pid)
        if self._root:
            os.kill(_local(self._root)["guardian"], signal.SIGUSR1)
            return
        unit = unit_of(server.pid)
        processes.kill([server.pid])
        for _ in range(int(_BACK_S / _POLL_S)):  # systemd, or who started it, may start another one at once
            if {door.port for door in server.doors} <= processes.ports_listened_on():
                return
            threading.Event().wait(_POLL_S)
        words = ["systemctl", "start", unit] if unit else [*server.command]
        with contextlib.suppress(OSError):
            quiet = subprocess.DEVNULL
            subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def find_servers(pids: list[int], root: str) -> list[Server]:
    """Return the servers among these processes that are this node's own, and listen."""
    commands: dict[int, list[str]] = {}
    if root:
        about = _local(root)
        if about.get("renews"):
            commands = {pid: [] for pid in pids if pid == about.get("pid")}
    else:
        commands = {pid: command for pid in pids if (command := _command(pid))}
    return [Server(pid, doors, command) for pid, command in commands.items() if (doors := processes.doors(pid))]


def _local(root: str) -> dict[str, int]:
    """Return what a local node's guardian has written down."""
    try:
        about = json.loads((Path(root) / "pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _command(pid: int) -> list[str]:
    """Return the command of an sshd that lets others in; empty for one that serves somebody who is logged in.

    Who is logged in may have a forwarded port, so that not each sshd with an open door is a server.
    """
    words = processes.words(pid)
    title = _TITLE.match(" ".join(words))
    if title:
        return shlex.split(title[1])
    return words if words and words[0].startswith("/") else []


def greets(door: processes.Door) -> bool:
    """Return whether a server answers, with its greeting or by hanging up."""
    try:
        with socket.create_connection((door.address, door.port), timeout=_GREETING_S) as opened:
            if opened.recv(1):
                opened.sendall(_OWN_GREETING)
    except socket.timeout:  # Python 3.9's is no TimeoutError
        return False
    except OSError:
        return True
    return True


def unit_of(pid: int) -> str:
    """Return the systemd unit of a process; empty without one."""
    try:
        unit = _UNIT.search(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"))
    except OSError:
        return ""
    return unit[1] if unit and Path("/run/systemd/system").is_dir() else ""
