"""The tunnel's process: one SSH connection with all forwards, which reconnects by itself until it is told to end.

asyncssh sets TCP_NODELAY on forwarded connections. OpenSSH does so only for a session with a terminal; with it at both
ends, each exchange of a ZeroMQ request waits some 40 ms for an acknowledgement. `python tests/benchmarks/tunnel.py`
prints what a round trip costs directly, through this, and through `ssh -N` to the same node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh

from clusterctl.clock import Deadline
from clusterctl.files import read_own
from clusterctl.identity import endpoints, known_hosts
from clusterctl.laptop.places import agent_address
from clusterctl.laptop.processes import on_end
from clusterctl.remote import proxy_command
from clusterctl.tunnel import holders, process

_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class _ReadyPipe:
    """The output, in which the process that opened the tunnel waits for one word: ready, or an error."""

    def __init__(self) -> None:
        self.is_sent = False

    def send_word(self, word: str) -> None:
        if not self.is_sent:
            self.is_sent = True
            os.write(sys.stdout.fileno(), word.encode())
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # closes it there


async def _keep_forwards_up(folder: Path, description: str, ready: _ReadyPipe, *, patient: bool) -> None:
    """Keep the forwards up while the tunnel's file is unchanged."""
    target = process.Target(**json.loads(description)["target"])
    forwards = process.read_forwards(folder)
    deadline = Deadline.after(process.READY_TIMEOUT_S)
    tries = 0
    while process.is_wanted(folder, description):
        try:
            async with AsyncExitStack() as opened:
                connection = await _connect_to_target(target, opened)
                for forward in forwards:
                    await connection.forward_local_port("127.0.0.1", forward.local_port, forward.host, forward.port)
                tries = 0
                process.ensure_minder(folder)
                ready.send_word("ready")
                await connection.wait_closed()
        except (OSError, asyncssh.Error) as exc:
            if not (ready.is_sent or patient) and deadline.is_over:
                ready.send_word(str(exc))
                return
        await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
        tries += 1


async def _connect_to_target(target: process.Target, opened: AsyncExitStack) -> asyncssh.SSHClientConnection:
    """Log in to the target, through its gateway if there is one. `opened` closes all connections."""
    if target.command:
        return await _connect_by_program(target, opened)
    gateway = None
    if target.jump:
        end = endpoints.parse_endpoint(target.jump, user=known_hosts.default_login_name())
        trusted = known_hosts.KnownHosts().find_key(end.host, end.port).key
        # Only hosts in the user's known_hosts are trusted. An empty list refuses every host.
        keys = [asyncssh.import_public_key(trusted)] if trusted else []
        keys_to_offer = _offered_keys(target, others=True)
        gateway = await _log_in(end.host, end.port, username=end.user, known_hosts=(keys, [], []), **keys_to_offer)
        await opened.enter_async_context(gateway)
    return await opened.enter_async_context(await _log_in_to_target(target, tunnel=gateway))


async def _connect_by_program(target: process.Target, opened: AsyncExitStack) -> asyncssh.SSHClientConnection:
    """Log in through a program's input and output. asyncssh's own proxy support mixes stderr into the data."""
    proxy = proxy_command.ProxyCommand(target.command)
    opened.callback(proxy.close)
    try:
        connection = await _log_in_to_target(target, sock=proxy.sock, connect_timeout=proxy_command.TIMEOUT_S)
    except (OSError, asyncssh.Error) as exc:
        raise OSError(f"{str(exc) or type(exc).__name__}{proxy.quote_stderr()}") from exc
    return await opened.enter_async_context(connection)


async def _log_in_to_target(target: process.Target, **way: Any) -> asyncssh.SSHClientConnection:
    return await _log_in(
        target.address,
        target.port,
        username=target.user,
        known_hosts=target.known_hosts,
        **_offered_keys(target, others=target.agent),
        **way,
    )


def _offered_keys(target: process.Target, *, others: bool) -> dict[str, Any]:
    """Return the keys to offer to a server. A key with a passphrase is left to the agent."""
    files = [target.key, *map(str, known_hosts.private_keys() if others else ())]
    held = others or _is_locked(target.key)
    return {
        "client_keys": [path for path in dict.fromkeys(files) if not _is_locked(path)],
        "agent_path": agent_address(os.environ) if held else None,
    }


def _is_locked(path: str) -> bool:
    """Return whether a private key has a passphrase, or cannot be read."""
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
        keepalive_interval=5,
        keepalive_count_max=3,
        **{"connect_timeout": 10, **options},
    )


async def _beat(folder: Path, description: str, ready: _ReadyPipe, *, patient: bool) -> None:
    """Show that this process works, and look after the one that minds it. End when the tunnel's file differs."""
    while process.is_wanted(folder, description):
        holders.beat(folder)
        if ready.is_sent or patient:
            process.ensure_minder(folder)
        await asyncio.sleep(holders.BEAT_S)


async def _run_until_signal(folder: Path, ready: _ReadyPipe, *, patient: bool) -> None:
    description = read_own(folder / process.TUNNEL_FILE)
    work = [
        asyncio.ensure_future(task(folder, description, ready, patient=patient)) for task in (_keep_forwards_up, _beat)
    ]
    on_end(asyncio.get_running_loop(), lambda: [task.cancel() for task in work])
    done, left = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for task in done:
        if not task.cancelled():
            task.result()


def main() -> None:
    """Run the tunnel of a folder once stdin gives a word: `python -m clusterctl.tunnel.forwarder FOLDER`."""
    folder, ready = Path(sys.argv[1]), _ReadyPipe()
    told = os.read(sys.stdin.fileno(), 16)
    if not told:
        return  # the tunnel is not needed any more
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    with holders.hold(folder / holders.FORWARDER_FILE) as mine:
        if not mine:
            ready.send_word("another one is up")
            return
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run_until_signal(folder, ready, patient=told == b"stay"))


if __name__ == "__main__":
    main()
