"""The tunnel's process: one SSH connection with all forwards, which reconnects by itself until it is told to end.

asyncssh sets TCP_NODELAY on what it forwards. OpenSSH does so only for a session with a terminal; with it at both ends,
each exchange of a ZeroMQ request then waits some 40 ms for an acknowledgement. `python tests/benchmarks/process.py`
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
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh

from clusterctl.identity import endpoints, known_hosts
from clusterctl.remote import proxy_command
from clusterctl.tunnel import process

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
    wanted = process.read(folder / process.FILE)
    target = process.Target(**json.loads(wanted)["target"])
    forwards = process.forwards(folder)
    deadline = asyncio.get_running_loop().time() + process.READY_TIMEOUT_S
    tries = 0
    while process.read(folder / process.FILE) == wanted:
        try:
            async with AsyncExitStack() as opened:
                connection = await _connect(target, opened)
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


async def _connect(target: process.Target, opened: AsyncExitStack) -> asyncssh.SSHClientConnection:
    """Log in to the tunnel's end, through its gateway if there is one; `opened` closes what was opened."""
    if target.command:
        return await _by_program(target, opened)
    gateway = None
    if target.jump:
        end = endpoints.parse(target.jump, user=known_hosts.user_name())
        trusted = known_hosts.KnownHosts().look_up(end.host, end.port).key
        # Nobody may be trusted that the user's ssh does not know; an empty list refuses all.
        keys = [asyncssh.import_public_key(trusted)] if trusted else []
        offered = _offered(target, others=True)
        gateway = await _log_in(end.host, end.port, username=end.user, known_hosts=(keys, [], []), **offered)
        await opened.enter_async_context(gateway)
    return await opened.enter_async_context(await _log_in_there(target, tunnel=gateway))


async def _by_program(target: process.Target, opened: AsyncExitStack) -> asyncssh.SSHClientConnection:
    """Log in over a program's input and output. Not by asyncssh's own means: they mix its complaints into the data."""
    way = proxy_command.Relay(target.command)
    opened.callback(way.close)
    try:
        connection = await _log_in_there(target, sock=way.sock, connect_timeout=proxy_command.TIMEOUT_S)
    except (OSError, asyncssh.Error) as exc:
        raise OSError(f"{str(exc) or type(exc).__name__}{way.quoted()}") from exc
    return await opened.enter_async_context(connection)


async def _log_in_there(target: process.Target, **way: Any) -> asyncssh.SSHClientConnection:
    return await _log_in(
        target.address,
        target.port,
        username=target.user,
        known_hosts=target.known_hosts,
        **_offered(target, others=target.agent),
        **way,
    )


def _offered(target: process.Target, *, others: bool) -> dict[str, Any]:
    """The keys that a server is offered. One with a passphrase is the agent's, and passed over here."""
    files = [target.key, *map(str, known_hosts.private_keys() if others else ())]
    held = others or _is_locked(target.key)
    return {
        "client_keys": [path for path in dict.fromkeys(files) if not _is_locked(path)],
        "agent_path": os.environ.get("SSH_AUTH_SOCK") if held else None,
    }


def _is_locked(path: str) -> bool:
    """Whether a private key has a passphrase, or cannot be read at all."""
    try:
        asyncssh.read_private_key(path)
    except (OSError, ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return True
    return False


async def _log_in(host: str, port: int, **options: Any) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        host,
        port,
        config=None,
        compression_algs=None,
        keepalive_interval=15,
        keepalive_count_max=3,
        **{"connect_timeout": 10, **options},
    )


async def _until_told(folder: Path, ready: _Ready) -> None:
    work = asyncio.ensure_future(_keep_up(folder, ready))
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main() -> None:
    """Be the tunnel of a folder, once a word comes in: `python -m clusterctl.tunnel.forwarder FOLDER FD`."""
    folder, ready = Path(sys.argv[1]), _Ready(int(sys.argv[2]))
    if not os.read(sys.stdin.fileno(), 16):
        return  # nobody wants it any more
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    with os.fdopen(os.open(folder / process.PID, os.O_RDWR | os.O_CREAT, 0o600), "r+") as pid:
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
