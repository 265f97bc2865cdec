"""What a node is given before its processes start: its folders, programs, keys, port and record."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import uv

from clusterctl.clock import utc_now
from clusterctl.errors import ProviderError
from clusterctl.files import write_own
from clusterctl.identity.keys import extract_public_key, new_key_pair
from clusterctl.providers.local import machine
from clusterctl.providers.local.environment import user_name
from clusterctl.providers.local.nodes import Record, ensure_folders, hold_launch, run_folder, write_json

if TYPE_CHECKING:
    import contextlib
    import socket


def prepare_node(
    opened: contextlib.ExitStack, folder: Path, record: Record | None, *, public_key: str, cores: int
) -> tuple[socket.socket, IO[bytes]]:
    """Prepare a node before its processes start. Return its listening socket, and what says that it is launched."""
    run = Path(record.run) if record else run_folder(folder)
    ensure_folders(folder, run)
    launch = opened.enter_context(hold_launch(folder))
    _link_programs(folder / "bin")
    host_key = record.host_key if record and _has_host_key(folder, record.host_key) else _new_host_key(folder)
    wanted = (record.address, record.port) if record else (machine.address_for(folder.parent, folder.name), 0)
    listener = opened.enter_context(machine.open_listener(*wanted))
    address, port = listener.getsockname()
    prepared = Record(
        cluster=folder.parent.name,
        alias=folder.name,
        user=user_name(),
        address=address,
        port=port,
        host_key=host_key,
        public_key=public_key,
        cores=cores,
        run=str(run),
        boot=secrets.token_hex(4),
        booted_s=utc_now().timestamp(),
    )
    write_json(folder / "node.json", prepared)
    return listener, launch


def _has_host_key(folder: Path, public: str) -> bool:
    """Return whether the node has the private half of this key: the file may have been damaged."""
    try:
        derived = extract_public_key((folder / "host_key").read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return False
    return derived.split()[:2] == public.split()[:2]


def _new_host_key(folder: Path) -> str:
    private, public = new_key_pair("")
    write_own(folder / "host_key", private.reveal())
    return public


def _link_programs(folder: Path) -> None:
    """Link uv and our base Python (not the virtual environment) into the node's search path."""
    python = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    program = uv_program()
    if program is None:
        raise ProviderError("uv is not installed beside clusterctl", remedy="pip install uv")
    for name, target in (("uv", program), ("python3", python), ("python", python)):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def uv_program() -> Path | None:
    """Return the uv that is installed beside clusterctl; None if there is none."""
    try:
        return Path(uv.find_uv_bin())
    except FileNotFoundError:
        return None
