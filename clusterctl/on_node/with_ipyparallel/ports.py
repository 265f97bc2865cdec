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
    wanted = _listening(port)
    return any(wanted & _sockets(pid) for pid in processes_with(word))


def _listening(port: int) -> set[str]:
    sockets = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{words[9]}]")
    return sockets


def _sockets(pid: int) -> set[str]:
    sockets = set()
    with contextlib.suppress(OSError):
        for link in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(link.readlink()))
    return sockets
