"""A cluster's tunnel, opened and closed. It is a process of its own (forwarder.py) that outlives the command."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clusterctl.model import Node

READY_TIMEOUT_S = 30.0
FILE = "tunnel.json"
PID = "tunnel.pid"


@dataclass(frozen=True)
class Forward:
    """A port of the laptop's loopback that stands for one over there."""

    local_port: int
    host: str
    port: int


@dataclass(frozen=True)
class Target:
    """Where the tunnel ends, and how to be let in."""

    address: str
    port: int
    user: str
    key: str
    known_hosts: str
    agent: bool = False
    """Offer what the user's ssh agent and ``~/.ssh`` have, too."""
    jump: str = ""
    """A host to go through, as ``[user@]host[:port]``."""
    command: tuple[str, ...] = ()
    """A program that is the way there, instead of a connection."""

    @classmethod
    def to(cls, node: Node, key: Path, known_hosts: Path) -> Target:
        """The tunnel's end on a node, with the access that everything else has."""
        access = node.access
        return cls(
            node.address,
            node.port,
            node.user,
            access.key or str(key),
            str(known_hosts),
            agent=access.agent,
            jump=access.jump,
            command=access.command,
        )


class Waiting:
    """A tunnel's process that loads what it needs while others work, and waits to be told to go; or ends with us."""

    def __init__(self, folder: Path) -> None:
        """Start it: it does nothing yet."""
        ours, theirs = os.pipe()
        self._answer = os.fdopen(ours, "rb")
        told, self._tell = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clusterctl.tunnel.forwarder", str(folder), str(theirs)],
            stdin=told,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs],
            start_new_session=True,
        )
        os.close(theirs)
        os.close(told)

    def go(self) -> None:
        """Have it be the tunnel that the folder's file describes; returns once it is up.

        Raises:
            RemoteError: it does not come up.
        """
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._tell, "wb") as word:
            word.write(b"go")
        with self._answer:
            said = self._answer.read().decode()  # the child gives up by itself after READY_TIMEOUT_S, so this ends
        if said != "ready":
            self._process.wait()
            raise RemoteError(
                f"the tunnel did not come up: {said or 'its process ended'}",
                remedy="see `clusterctl status`; `clusterctl tunnel` tries again",
            )
        # Its end is its own affair from here; without this, Python warns that a child was left running.
        self._process.returncode = 0

    def drop(self) -> None:
        """End it, unless it was told to go."""
        if not self._answer.closed:
            self._answer.close()
            os.close(self._tell)
            self._process.kill()  # it may still be loading
            self._process.wait()


def open(  # noqa: A001  tunnel.open reads well
    folder: Path, target: Target, forwards: Sequence[Forward], *, waiting: Waiting | None = None
) -> None:
    """Have a tunnel with these forwards; one that runs with the same is left alone.

    Args:
        folder: the cluster's.
        target: where it ends.
        forwards: the ports.
        waiting: a process that may become the tunnel.

    Raises:
        RemoteError: it did not come up; the message says why.
    """
    wanted = json.dumps({"target": asdict(target), "forwards": [asdict(forward) for forward in forwards]})
    if is_up(folder) and read(folder / FILE) == wanted:
        return
    close(folder)
    try:
        with os.fdopen(os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(wanted)
    except OSError as exc:
        raise StateError(
            f"cannot write {folder / FILE}: {exc.strerror or exc}", remedy="free some space or fix its permissions"
        ) from exc
    (waiting or Waiting(folder)).go()


def reopen(folder: Path) -> bool:
    """Bring the last tunnel back if it is not up; False if this cluster never had one."""
    if not (folder / FILE).exists():
        return False
    if not is_up(folder):
        Waiting(folder).go()
    return True


def close(folder: Path) -> None:
    """End the tunnel, and forget it. No tunnel is success."""
    (folder / FILE).unlink(missing_ok=True)
    stop(folder)


def stop(folder: Path) -> None:
    """End the tunnel's process; `reopen` brings it back. No tunnel is success."""
    pid = _owner(folder)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _wait_released(folder)
    (folder / PID).unlink(missing_ok=True)


def is_up(folder: Path) -> bool:
    """Whether the tunnel's process lives (it may be reconnecting)."""
    return _owner(folder) is not None


def forwards(folder: Path) -> list[Forward]:
    """The forwards of the last tunnel."""
    try:
        return [Forward(**entry) for entry in json.loads(read(folder / FILE))["forwards"]]
    except (ValueError, KeyError, TypeError):
        return []


def read(path: Path) -> str:
    """A file's text; empty if it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _owner(folder: Path) -> int | None:
    """The pid of the tunnel. It holds a lock on its pid file, so a number left by a dead one is not believed."""
    try:
        with (folder / PID).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(file.read().strip() or 0) or None
    except OSError:
        return None
    return None


def _wait_released(folder: Path) -> None:
    """Wait for the end of the tunnel's process, which gives its lock back."""
    with contextlib.suppress(FileNotFoundError), (folder / PID).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
