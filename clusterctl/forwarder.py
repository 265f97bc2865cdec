"""The tunnel's process: one SSH connection with all forwards, which reconnects by itself until it is told to end.

asyncssh sets TCP_NODELAY on what it forwards. OpenSSH does so only for a session with a terminal; with it at both ends,
each exchange of a ZeroMQ request then waits some 40 ms for an acknowledgement. `python tests/benchmarks/tunnel.py`
prints what a round trip costs directly, through this, and through `ssh -N` to the same node.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from pathlib import Path

import asyncssh

from clusterctl import tunnel

_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class _Ready:
    """The end of the pipe on which whoever opened the tunnel waits for a word."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.said = False

    def say(self, word: str) -> None:
        if not self.said:
            self.said = True
            os.write(self._fd, word.encode())
            os.close(self._fd)


async def _keep_up(folder: Path, ready: _Ready) -> None:
    """Hold the forwards up for as long as the tunnel's file says so."""
    wanted = tunnel.read(folder / tunnel.FILE)
    target = tunnel.Target(**json.loads(wanted)["target"])
    forwards = tunnel.forwards(folder)
    deadline = asyncio.get_running_loop().time() + tunnel.READY_TIMEOUT_S
    tries = 0
    while tunnel.read(folder / tunnel.FILE) == wanted:
        try:
            async with await _connect(target) as connection:
                for forward in forwards:
                    await connection.forward_local_port("127.0.0.1", forward.local_port, forward.host, forward.port)
                tries = 0
                ready.say("ready")
                await connection.wait_closed()
        except (OSError, asyncssh.Error) as exc:
            if not ready.said and asyncio.get_running_loop().time() > deadline:
                ready.say(str(exc))
                return
        await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
        tries += 1


async def _connect(target: tunnel.Target) -> asyncssh.SSHClientConnection:
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


async def _until_told(folder: Path, ready: _Ready) -> None:
    work = asyncio.ensure_future(_keep_up(folder, ready))
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main() -> None:
    """Be the tunnel of a folder: `python -m clusterctl.forwarder FOLDER FD`."""
    folder, ready = Path(sys.argv[1]), _Ready(int(sys.argv[2]))
    with os.fdopen(os.open(folder / tunnel.PID, os.O_RDWR | os.O_CREAT, 0o600), "r+") as pid:
        try:
            # Held until this process ends, however it ends: the number in the file is then not believed any more.
            fcntl.flock(pid, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            ready.say("another one is up")
            return
        pid.truncate(0)
        pid.write(str(os.getpid()))
        pid.flush()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_until_told(folder, ready))


if __name__ == "__main__":
    main()
