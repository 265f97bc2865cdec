"""The SSH server of a node, and the launcher of servers, which takes ``SOCKET,LAUNCH=FOLDER`` for each node."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

import asyncssh

from clusterctl.providers.local.environment import node_environment
from clusterctl.providers.local.guardian import run_guardian
from clusterctl.providers.local.nodes import Record, read_admitted, read_record
from clusterctl.providers.local.session import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Ciphers that paramiko and OpenSSH both have, and that do most of their work outside Python.
_CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr"]


class _NodeServer(asyncssh.SSHServer):
    """Accepts the node's user with the cluster's key, and forwards to loopback only."""

    def __init__(self, record: Record, folder: Path) -> None:
        self._user = record.user
        self._texts = [record.public_key, *read_admitted(folder)]

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._user and key.public_data in _parse_keys(self._texts)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        del dest_port, orig_host, orig_port
        return is_loopback(dest_host)


def _parse_keys(texts: Iterable[str]) -> list[bytes]:
    keys = []
    for text in texts:
        with contextlib.suppress(asyncssh.KeyImportError):
            keys.append(asyncssh.import_public_key(text).public_data)
    return keys


def is_loopback(host: str) -> bool:
    """Return whether this host name or address always means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NodeFiles(asyncssh.SFTPServer):
    """The node's files over SFTP. Relative paths are below the home folder."""

    home = b""

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self.home, path)  # noqa: PTH118  # bytes

    def exit(self) -> None:
        self.channel.exit(0)  # scp treats an end without a status as a failure


async def _serve_node(record: Record, folder: Path, listener: socket.socket) -> None:
    home = folder.parent / "home"
    sessions = Sessions(node_environment(os.environ, record, folder), home)
    files = type("_FilesOfNode", (_NodeFiles,), {"home": os.fsencode(home)})
    loop = asyncio.get_running_loop()
    off = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, off.set)
    acceptor = await asyncssh.listen(
        sock=listener,
        server_factory=lambda: _NodeServer(record, folder),
        # Not its path: that would be read again at each login, and the file may have been damaged meanwhile.
        server_host_keys=[asyncssh.read_private_key(folder / "host_key")],
        process_factory=sessions.serve_client,
        sftp_factory=files,
        allow_scp=True,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        encoding=None,
        line_editor=False,
        login_timeout=30,
        keepalive_interval=0,
        encryption_algs=_CIPHERS,
        compression_algs=["none"],
    )
    await off.wait()
    acceptor.close()
    os._exit(0)  # the guardian ends the rest; clients see their connection end


def _run_server(record: Record, folder: Path, listener: socket.socket) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    asyncio.run(_serve_node(record, folder, listener))


def main(arguments: Sequence[str]) -> None:
    """Start a guardian for each node. Return when each has written its ``pid`` file or has ended."""
    pairs = [argument.partition("=") for argument in arguments]
    nodes = [(Path(folder), *_open_both(numbers)) for numbers, _, folder in pairs]
    reading, ready = os.pipe()
    for folder, listener, launch in nodes:
        if os.fork() == 0:
            for _, other, launch_of_other in nodes:
                if other is not listener:
                    other.close()  # else the port would stay open as long as any of the nodes
                    launch_of_other.close()
            os.close(reading)
            _become_guardian(folder, listener, launch, ready=ready)
        listener.close()
        launch.close()
    os.close(ready)
    os.read(reading, 1)


def _open_both(numbers: str) -> tuple[socket.socket, IO[bytes]]:
    """Return the listening socket and the file that holds the launch, as `power_on` passes them."""
    listener, launch = (int(number) for number in numbers.split(","))
    return socket.socket(fileno=listener), os.fdopen(launch, "ab")


def _become_guardian(folder: Path, listener: socket.socket, launch: IO[bytes], *, ready: int) -> NoReturn:
    try:
        listener.set_inheritable(False)
        os.set_inheritable(launch.fileno(), False)  # noqa: FBT003  by position only
        record = read_record(folder)
        if record is None:  # destroyed in the meantime
            os._exit(0)
        run_guardian(folder, record, listener=listener, launch=launch, serve=_run_server, ready=ready)
    finally:  # a forked child must not return into its parent's code
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
