"""One file to a node or from it, over a command: it needs no SFTP server, and a login shell may print what it likes."""

from __future__ import annotations

import secrets
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.files import open_atomically
from clusterctl.laptop.places import permissions_of
from clusterctl.remote.running import ErrorReader

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from clusterctl.remote.base import RunningCommand

_CHUNK = 1 << 17
_LONGEST_ERROR = 4096


def put_command(local: Path, remote: PurePosixPath) -> str:
    """Return the command that takes a file in over stdin: whole, under another name, and then renamed."""
    mode = permissions_of(local)
    draft = shlex.quote(str(remote.with_name(f".{remote.name}.{secrets.token_hex(4)}")))
    chmod = "chmod go= " if mode is None else f"chmod {mode:o} "
    # The connection may break in the middle, which is an end for `cat`: the size tells.
    return (
        f"mkdir -p {shlex.quote(str(remote.parent))} && (umask 077 && cat > {draft})"
        f' && [ "$(wc -c < {draft})" -eq {local.stat().st_size} ] && {chmod}{draft}'
        f" && mv -f {draft} {shlex.quote(str(remote))} || {{ rm -f {draft}; exit 1; }}"
    )


def send_file(running: RunningCommand, local: Path) -> None:
    """Send a file to the command that takes it in.

    Raises:
        OSError: it was not taken, and the node's file is what it was. The message is the node's.
    """
    errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
    with local.open("rb") as file, suppress(OSError):  # it has ended already, and says why
        while chunk := file.read(_CHUNK):
            running.write(chunk)
        running.end_input()
    while running.read():
        pass
    _check_end(running, errors)


def get_command(remote: PurePosixPath) -> str:
    """Return the command that sends a file: a line with its mode and size, and then its bytes."""
    path = shlex.quote(str(remote))
    return f"stat -L -c '%a %s' {path} && cat < {path}"


def receive_file(running: RunningCommand, local: Path) -> None:
    """Write the file that the command sends: whole, under another name, and then renamed.

    Raises:
        OSError: it did not come whole, and what was there is what it was. The message is the node's.
    """
    errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
    head = b""
    while b"\n" not in head and len(head) < _CHUNK and (chunk := running.read()):
        head += chunk
    line, _, chunk = head.partition(b"\n")
    with open_atomically(local) as file:
        file.write(chunk)
        while chunk := running.read():
            file.write(chunk)
        _check_end(running, errors)
        mode, _, size = line.decode(errors="replace").partition(" ")
        if size != str(file.tell()):
            raise OSError(0, f"{file.tell()} bytes came of {size}")
        Path(file.name).chmod(int(mode, 8) & 0o777)


def _check_end(running: RunningCommand, errors: ErrorReader) -> None:
    status, said = running.wait(), errors.finish().strip()
    if status:
        lost = "the connection was lost" if status < 0 else f"it ended with status {status}"
        raise OSError(0, said.splitlines()[-1].rpartition(": ")[2] if said else lost)
