"""Whose a port is: processes by a word of their command lines, and what they listen on. Another user's are not seen."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

_PROC = Path("/proc")


def processes_with(word: str) -> list[int]:
    """Return the processes of this user that have this word in their command lines; none where none can be seen."""
    pids = []
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.getuid() and word in os.fsdecode((folder / "cmdline").read_bytes()).split(
                "\0"
            ):
                pids.append(int(folder.name))
    return pids


def is_open(address: str, port: int) -> bool:
    """Return whether there is anybody to ask."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def listens(word: str, port: int) -> bool:
    """Return whether a process with this word in its command line listens on a port of the loopback.

    Where the system does not tell, whoever listens is believed.
    """
    if sys.platform != "linux":
        return is_open("127.0.0.1", port)
    wanted = {socket for socket, (number, _) in _listening().items() if number == port}
    return any(wanted & _sockets(pid) for pid in processes_with(word))


def own_ports() -> set[int]:
    """Return the ports on which processes of this user listen, and of nobody else; none where nobody can tell."""
    sockets = _listening().values()
    return {port for port, uid in sockets if uid == os.getuid()} - {port for port, uid in sockets if uid != os.getuid()}


def _listening() -> dict[str, tuple[int, int]]:
    """Return the port and the user of each socket that listens."""
    sockets = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A":
                    sockets[f"socket:[{words[9]}]"] = (int(words[1].rpartition(":")[2], 16), int(words[7]))
    return sockets


def _sockets(pid: int) -> set[str]:
    sockets = set()
    with contextlib.suppress(OSError):
        for link in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(link.readlink()))
    return sockets
