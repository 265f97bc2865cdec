"""Processes of this machine, as /proc tells. Elsewhere nothing is known of them, and nothing is done to them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_LOCAL_SERVER = b"clusterctl.providers.local.server"
_TICKS_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _stat(pid: int) -> list[str]:
    """Return the fields of a process from its state on; empty if there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # its name may hold anything


def started(pid: int) -> str:
    """Return when a process began, which tells it from another one of its number; empty if there is none."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def tree(root: int) -> list[int]:
    """Return a process and all of its descendants, the root first."""
    parents: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    pids = [root] if started(root) else []
    for pid in pids:
        pids += parents.get(pid, [])
    return pids


def cpu_s(pids: list[int]) -> float:
    """Return the processor time that these processes have used."""
    stats = [_stat(pid) for pid in pids]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / _TICKS_S


def wake(pids: list[int]) -> list[int]:
    """Have those go on that were stopped (SIGSTOP); return them."""
    stopped = [pid for pid in pids if _stat(pid)[:1] == ["T"]]
    for pid in stopped:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGCONT)
    return stopped


def ssh_servers() -> list[int]:
    """Return the processes that let others log in to this node: sshd, or a local node's server of this user."""
    servers = []
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
            if name.startswith("sshd") or (name.startswith("python") and _is_local_server(folder)):
                servers.append(int(folder.name))
    return servers


def _is_local_server(folder: Path) -> bool:
    words = (folder / "cmdline").read_bytes().split(b"\0")
    return _LOCAL_SERVER in words and folder.stat().st_uid == os.getuid()


def kill(pids: list[int]) -> None:
    """End processes at once, the first ones first."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def user_of(pid: int) -> int:
    """Return the user of a process; -1 if there is none."""
    try:
        return (_PROC / str(pid)).stat().st_uid
    except OSError:
        return -1


def words(pid: int) -> list[str]:
    """Return the command line of a process; empty if there is none."""
    try:
        text = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return []
    return [word for word in text.split("\0") if word]


class Door(NamedTuple):
    """A TCP socket that somebody listens on."""

    name: str
    user: int
    address: str
    """Where this machine reaches it itself."""
    port: int
    waiting: int
    """How many connections nobody has accepted yet."""


def listening_users(port: int) -> set[int]:
    """Return the users whose processes listen on a TCP port."""
    return {door.user for door in _all_doors() if door.port == port}


def ports_listened_on() -> set[int]:
    """Return the TCP ports that somebody listens on."""
    return {door.port for door in _all_doors()}


def listeners(port: int) -> set[int]:
    """Return the processes that listen on a TCP port. A container's root may see none of other users'."""
    wanted = {door.name for door in _all_doors() if door.port == port}
    return {int(folder.name) for folder in _PROC.glob("[0-9]*") if wanted & _open_files(folder)}


def doors(pid: int) -> list[Door]:
    """Return what a process listens on."""
    mine = _open_files(_PROC / str(pid))
    return [door for door in _all_doors() if door.name in mine]


def _open_files(folder: Path) -> set[str]:
    files = set()
    with contextlib.suppress(OSError):
        for link in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):  # it has just been closed
                files.add(str(link.readlink()))
    return files


def _all_doors() -> list[Door]:
    doors = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    address, _, port = fields[1].partition(":")
                    waiting = int(fields[4].partition(":")[2], 16)
                    doors.append(
                        Door(f"socket:[{fields[9]}]", int(fields[7]), _reachable(address), int(port, 16), waiting)
                    )
    return doors


def _reachable(address: str) -> str:
    """Return an address as /proc writes it in the usual way; the loopback one where it stands for all."""
    numbers = [int.from_bytes(bytes.fromhex(address[at : at + 8]), sys.byteorder) for at in range(0, len(address), 8)]
    packed = b"".join(number.to_bytes(4, "big") for number in numbers)
    if not any(packed):
        return "::1" if len(packed) > 4 else "127.0.0.1"
    return socket.inet_ntop(socket.AF_INET6 if len(packed) > 4 else socket.AF_INET, packed)
