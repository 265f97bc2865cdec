"""One SSH connection with all forwards, in a process of its own that outlives the command and reconnects by itself.

asyncssh sets TCP_NODELAY on what it forwards. OpenSSH does so only for a session with a terminal, and without it each
exchange of a ZeroMQ request waits some 40 ms for an acknowledgement: `python tests/benchmarks/tunnel.py` prints both.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node

READY_TIMEOUT_S = 30.0
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_FILE = "tunnel.json"
_PID = "tunnel.pid"


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

    @classmethod
    def to(cls, node: Node, key: Path, known_hosts: Path) -> Target:
        """The tunnel's end on a node."""
        return cls(node.address, node.port, node.user, str(key), str(known_hosts))


def open(folder: Path, target: Target, forwards: Sequence[Forward]) -> None:  # noqa: A001  tunnel.open reads well
    """Have a tunnel with these forwards; one that runs with the same is left alone.

    Raises:
        RemoteError: it did not come up; the message says why.
    """
    wanted = json.dumps({"target": asdict(target), "forwards": [asdict(forward) for forward in forwards]})
    if is_up(folder) and _read(folder / _FILE) == wanted:
        return
    close(folder)
    with os.fdopen(os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(wanted)
    _spawn(folder)


def reopen(folder: Path) -> bool:
    """Bring the last tunnel back if it is not up; False if this cluster never had one."""
    if not (folder / _FILE).exists():
        return False
    if not is_up(folder):
        _spawn(folder)
    return True


def close(folder: Path) -> None:
    """End the tunnel, and forget it. No tunnel is success."""
    (folder / _FILE).unlink(missing_ok=True)
    stop(folder)


def stop(folder: Path) -> None:
    """End the tunnel's process; `reopen` brings it back. No tunnel is success."""
    pid = _owner(folder)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _wait_released(folder)
    (folder / _PID).unlink(missing_ok=True)


def is_up(folder: Path) -> bool:
    """Whether the tunnel's process lives (it may be reconnecting)."""
    return _owner(folder) is not None


def forwards(folder: Path) -> list[Forward]:
    """The forwards of the last tunnel."""
    try:
        return [Forward(**entry) for entry in json.loads(_read(folder / _FILE))["forwards"]]
    except (ValueError, KeyError, TypeError):
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _owner(folder: Path) -> int | None:
    """The pid of the tunnel. It holds a lock on its pid file, so a number left by a dead one is not believed."""
    try:
        with (folder / _PID).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(file.read().strip() or 0) or None
    except OSError:
        return None
    return None


def _wait_released(folder: Path) -> None:
    """Wait for the end of the tunnel's process, which gives its lock back."""
    with contextlib.suppress(FileNotFoundError), (folder / _PID).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def _spawn(folder: Path) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as answer:
        process = subprocess.Popen(
            [sys.executable, "-m", "clusterctl.tunnel", str(folder), str(theirs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs],
            start_new_session=True,
        )
        os.close(theirs)
        # The child gives up by itself after READY_TIMEOUT_S, so this read ends.
        said = answer.read().decode()
    if said != "ready":
        process.wait()
        raise RemoteError(
            f"the tunnel did not come up: {said or 'its process ended'}",
            remedy="see `clusterctl status`; `clusterctl tunnel` tries again",
        )
    # Its end is its own affair from here; without this, Python warns that a child was left running.
    process.returncode = 0


async def _forward(folder: Path, ready: int) -> None:
    """Hold the forwards up until the tunnel's file goes away or changes hands."""
    wanted = _read(folder / _FILE)
    plan = json.loads(wanted)
    target, forwards = Target(**plan["target"]), [Forward(**entry) for entry in plan["forwards"]]
    deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
    tries, said = 0, False
    while _read(folder / _FILE) == wanted:
        try:
            async with await _connect(target) as connection:
                for forward in forwards:
                    await connection.forward_local_port(
                        "127.0.0.1", forward.local_port, forward.host, forward.port
                    )
                tries = 0
                if not said:
                    os.write(ready, b"ready")
                    os.close(ready)
                    said = True
                await connection.wait_closed()
        except (OSError, *_ssh_errors()) as exc:
            if not said and asyncio.get_running_loop().time() > deadline:
                os.write(ready, str(exc).encode())
                return
        await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
        tries += 1


def _ssh_errors() -> tuple[type[Exception], ...]:
    import asyncssh

    return (asyncssh.Error,)


async def _connect(target: Target):  # type: ignore[no-untyped-def]  # noqa: ANN202  asyncssh is loaded late
    import asyncssh

    return await asyncssh.connect(
        target.address,
        target.port,
        username=target.user,
        client_keys=[target.key],
        known_hosts=target.known_hosts,
        config=None,
        agent_path=None,
        compression_algs=None,
        keepalive_interval=15,
        keepalive_count_max=3,
        connect_timeout=10,
    )


def main() -> None:
    """Be the tunnel of a folder: `python -m clusterctl.tunnel FOLDER FD`."""
    folder, ready = Path(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(ready, False)
    with (folder / _PID).open("a+") as file:
        file_fd = os.open(folder / _PID, os.O_RDWR)
        try:
            fcntl.flock(file_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.write(ready, b"another one is up")
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_until_told(folder, ready))


async def _until_told(folder: Path, ready: int) -> None:
    work = asyncio.ensure_future(_forward(folder, ready))
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    main()
