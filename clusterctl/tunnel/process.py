"""Opens and closes a cluster's tunnel: a process of its own (forwarder.py) that outlives the command."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from clusterctl.environment.variables import own_process_environment
from clusterctl.errors import NewerFormatError, RemoteError, StateError
from clusterctl.files import read_own, write_atomically
from clusterctl.formats import Format
from clusterctl.laptop.processes import start_apart
from clusterctl.tunnel import holders

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from clusterctl.model import Node

READY_TIMEOUT_S = 30.0
_ANSWER_S = 3.0
_ROUNDS = 5
TUNNEL_FILE = "tunnel.json"
_FORMAT = Format("the description of the tunnel", 1)


@dataclass(frozen=True)
class Forward:
    """A port on the laptop's loopback that is forwarded to a port of a host on the other side."""

    local_port: int
    host: str
    port: int


@dataclass(frozen=True)
class Target:
    """The node where the tunnel ends, and how to log in to it."""

    address: str
    port: int
    user: str
    key: str
    known_hosts: str
    agent: bool = False
    """Offer the keys of the user's ssh agent and ``~/.ssh``, too."""
    jump: str = ""
    """The jump host, as ``[user@]host[:port]``."""
    command: tuple[str, ...] = ()
    """A program that connects to the node, instead of a TCP connection."""

    @classmethod
    def for_node(cls, node: Node, key: Path, known_hosts: Path) -> Target:
        """Return the target for a node, with the node's usual access."""
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


class StandbyProcess:
    """A tunnel process that loads its modules in the background and then waits for the start, or ends with us."""

    def __init__(self, folder: Path) -> None:
        """Start the process. It opens no tunnel yet."""
        # Its input is a word that tells it to begin, its output is one that says how that went.
        command = [sys.executable, "-m", "clusterctl.tunnel.forwarder", str(folder)]
        self._process = start_apart(command, env=own_process_environment(os.environ))
        self._cluster = folder.name

    def become_tunnel(self) -> None:
        """Make the process open the tunnel that the folder's file describes. Return once the tunnel is up.

        Raises:
            RemoteError: the tunnel does not come up.
        """
        told, said = self._pipes()
        with contextlib.suppress(OSError), told:
            told.write(b"go")
        with said:
            answer = said.read().decode()  # the child gives up after READY_TIMEOUT_S, so this read ends
        if answer != "ready":
            self._process.wait()
            name = self._cluster
            raise RemoteError(
                f"the tunnel did not come up: {answer or 'its process ended'}",
                remedy=f"see `clusterctl status {name}`; `clusterctl start {name}` brings back what is off",
            )
        _leave(self._process)

    def stay(self) -> None:
        """Make the process open the tunnel, and try again for as long as it takes. Do not wait for it."""
        told, said = self._pipes()
        with contextlib.suppress(OSError), told:
            told.write(b"stay")
        said.close()
        _leave(self._process)

    def end_unused(self) -> None:
        """End the process, unless it has become the tunnel."""
        told, said = self._pipes()
        if not said.closed:
            said.close()
            told.close()
            self._process.kill()  # it may still be loading
            self._process.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("it was started with both")
        return self._process.stdin, self._process.stdout


def _leave(process: subprocess.Popen[bytes]) -> None:
    """Let a process outlive this one; without this Python warns about a child that still runs."""
    process.returncode = 0


def open_tunnel(
    folder: Path, target: Target, forwards: Sequence[Forward], *, standby: StandbyProcess | None = None
) -> None:
    """Open a tunnel with these forwards. A running tunnel with the same target and forwards is kept.

    Args:
        folder: the folder of the cluster.
        target: the node where the tunnel ends.
        forwards: the ports to forward.
        standby: a waiting process that can become the tunnel.

    Raises:
        RemoteError: the tunnel did not come up; the message says why.
    """
    wanted = {"target": asdict(target), "forwards": [asdict(forward) for forward in forwards]}
    text = json.dumps(_FORMAT.stamp(wanted))
    # A tunnel that an older version opened is kept, with its file: its process ends when the file changes.
    if is_up(folder) and _read_description(folder) == json.loads(json.dumps(wanted)):
        return
    close_tunnel(folder)
    try:
        write_atomically(folder / TUNNEL_FILE, text)
    except OSError as exc:
        raise StateError(
            f"cannot write {folder / TUNNEL_FILE}: {exc.strerror or exc}",
            remedy="free some space or fix its permissions",
        ) from exc
    (standby or StandbyProcess(folder)).become_tunnel()


def start_patient(folder: Path) -> None:
    """Start a process that opens the tunnel whenever that may be possible. Do not wait for it."""
    StandbyProcess(folder).stay()


def ensure_minder(folder: Path) -> None:
    """Start the process that minds the tunnel, unless it runs."""
    if holders.holder_pid(folder / holders.MINDER_FILE) is None:
        command = [sys.executable, "-m", "clusterctl.tunnel.minder", str(folder)]
        process = start_apart(command, env=own_process_environment(os.environ))
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        _leave(process)


def reopen_tunnel(folder: Path) -> bool:
    """Open the last tunnel again if it is not up. Return False if this cluster never had a tunnel.

    Raises:
        NewerFormatError: a newer version has opened it.
        StateError: its description is damaged.
    """
    if not (folder / TUNNEL_FILE).exists():
        return False
    description = _read_description(folder)
    if not is_up(folder):
        if not description:
            raise StateError(
                f"{folder / TUNNEL_FILE} is damaged", remedy=f"`clusterctl start {folder.name}` makes the tunnel anew"
            )
        stop_process(folder)
        StandbyProcess(folder).become_tunnel()
    return True


def close_tunnel(folder: Path) -> None:
    """End the tunnel and delete its file. No tunnel is success."""
    (folder / TUNNEL_FILE).unlink(missing_ok=True)
    stop_process(folder)


def stop_process(folder: Path) -> None:
    """End the tunnel's process, but keep its file, so that it can be opened again. No tunnel is success."""
    places = [folder / name for name in (holders.MINDER_FILE, holders.FORWARDER_FILE)]
    for _ in range(_ROUNDS):  # each starts the other anew while it lives
        for place in places:
            holders.end_holder(place)
        if not any(map(holders.holder_pid, places)):
            break
    for place in places:
        if place.exists():
            holders.release(place)
    (folder / holders.BEAT_FILE).unlink(missing_ok=True)


def is_up(folder: Path) -> bool:
    """Return whether the tunnel's process runs, and is not frozen. It may be reconnecting."""
    return holders.holder_pid(folder / holders.FORWARDER_FILE) is not None and not holders.is_deaf(folder)


def answers(folder: Path) -> bool:
    """Return whether the tunnel is up, and connected: each port of this computer is taken, and none is closed at once.

    What is asked goes to the node and back where the service speaks first, as ipyparallel's sockets do.
    """
    return is_up(folder) and all(goes_through(forward.local_port) for forward in read_forwards(folder)[:1])


def goes_through(port: int) -> bool:
    """Return whether something answers behind a port of this computer, or waits for the first word."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S) as probe:
            return probe.recv(1) != b""
    except TimeoutError:
        return True  # it waits for the client's first word
    except OSError:
        return False


def is_wanted(folder: Path, description: str) -> bool:
    """Return whether a running tunnel with this description is still wanted. A file that was damaged says nothing."""
    try:
        if read_own(folder / TUNNEL_FILE) == description:
            return True
        return (folder / TUNNEL_FILE).exists() and not _read_description(folder)
    except NewerFormatError:
        return False  # its own tunnel is on its way


def can_be_opened(folder: Path) -> bool:
    """Return whether there is a description of the tunnel that this version can read."""
    with contextlib.suppress(NewerFormatError):
        return bool(_read_description(folder))
    return False


def read_forwards(folder: Path) -> list[Forward]:
    """Return the forwards of the last tunnel."""
    try:
        return [Forward(**entry) for entry in _read_description(folder)["forwards"]]
    except (KeyError, TypeError):
        return []


def _read_description(folder: Path) -> dict[str, Any]:
    """Return the description of the last tunnel without its stamp; empty if there is none that can be read."""
    try:
        return _FORMAT.unstamp(json.loads(read_own(folder / TUNNEL_FILE)), folder / TUNNEL_FILE)
    except ValueError:
        return {}
