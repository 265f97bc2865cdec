"""A node on disk: its folder and its record, from which its state and its Node follow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, TypeVar

from clusterctl.errors import ProviderError
from clusterctl.files import append_lines, ensure_folder, write_own
from clusterctl.formats import Format
from clusterctl.laptop.locks import is_locked, lock
from clusterctl.model import MASTER, Facet, Layout, Node, NodeState
from clusterctl.providers.local.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMITTED = "authorized_keys"
"""The file in a node's folder with the keys that may log in besides the one in the record."""
FACETS = frozenset({Facet.SHARED_HOME, Facet.SHARED_CACHE, Facet.DIRECT})

_LAUNCH_LOCK = "launch.lock"
_MAX_BASE_LENGTH = 60
_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
"""By the type of a field in a record, what JSON may have for it."""
_FORMATS = {"node.json": Format("the record of the node", 1), "pid": Format("the record of the node's processes", 1)}


@dataclass(frozen=True)
class Record:
    """The facts of a node, kept in ``node.json``. Written before its processes start, so that none is unknown."""

    cluster: str
    alias: str
    user: str
    address: str
    port: int
    host_key: str
    public_key: str
    """The key that may log in."""
    cores: int
    run: str
    boot: str
    """A new text at each start."""
    booted_s: float
    """The time of the last start, in seconds of the wall clock."""


@dataclass(frozen=True)
class Running:
    """The processes of a node, kept in its ``pid`` file. The guardian writes it once both exist."""

    boot: str
    pid: int
    """The SSH server. The node ends when it ends."""
    mark: str
    guardian: int
    guardian_mark: str
    renews: bool = False
    """Whether SIGUSR1 has the guardian start another server in the place of one that answers no more."""


R = TypeVar("R", Record, Running)


def write_json(path: Path, value: Record | Running) -> None:
    """Write a file atomically, readable by its owner only."""
    write_own(path, json.dumps(_FORMATS[path.name].stamp(asdict(value)), indent=1))


def read_record(folder: Path) -> Record | None:
    """Return the record of the node in this folder, or None if there is none that can be read.

    A node whose record is damaged is one without a record: its next start makes it anew, and its end needs none.

    Raises:
        NewerFormatError: a newer version wrote the record.
    """
    try:
        return _parse(Record, folder / "node.json")
    except (OSError, ValueError):
        return None


def admit_key(folder: Path, public_key: str) -> None:
    """Let one more key log in to a node. Its server looks at each login.

    Raises:
        OSError: the file cannot be written.
    """
    if public_key not in read_admitted(folder):
        append_lines(folder / ADMITTED, f"{public_key}\n")


def read_admitted(folder: Path) -> list[str]:
    """Return the keys that may log in besides the one in the record."""
    try:
        text = (folder / ADMITTED).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def read_running(folder: Path, boot: str) -> Running | None:
    """Return the processes of this boot of the node, or None if there are none yet."""
    try:
        running = _parse(Running, folder / "pid")
    except (OSError, ValueError):
        return None
    return running if running.boot == boot else None


def _parse(kind: type[R], path: Path) -> R:
    """Return the record in a file. Fields that this version does not know are left out.

    Raises:
        ValueError: it is no such record.
    """
    content = _FORMATS[path.name].unstamp(json.loads(path.read_text(encoding="utf-8")), path)
    wanted = {field.name: field for field in fields(kind)}
    known = {name: value for name, value in content.items() if name in wanted}
    for name, value in known.items():
        types = _TYPES[str(wanted[name].type)]
        if not isinstance(value, types) or isinstance(value, bool) is not (bool in types):
            raise ValueError(f"{path}: {name} is {value!r}")
    try:
        return kind(**known)
    except TypeError as exc:
        raise ValueError(f"{path}: {exc}") from exc


def hold_launch(folder: Path) -> IO[bytes]:
    """Return an open file that says that this node is being launched, for as long as any process has it open.

    It goes from the command to the launcher and to the guardian, which closes it once the ``pid`` file exists. So a
    launch whose command was killed goes on, and one whose last process was killed is over.
    """
    file = (folder / _LAUNCH_LOCK).open("ab")
    lock(file)  # who looks whether it is locked has it for a moment
    return file


def is_launching(folder: Path) -> bool:
    """Return whether a launch of this node is under way."""
    try:
        with (folder / _LAUNCH_LOCK).open("rb") as file:
            return is_locked(file)
    except OSError:
        return False


def state_of(folder: Path, record: Record) -> NodeState:
    """Return the node's state by looking at its processes: running, booting (it is being launched), or off."""
    running = read_running(folder, record.boot)
    if running is None:
        if is_launching(folder):
            return NodeState.PENDING
        running = read_running(folder, record.boot)  # it may have started between the two checks
    return NodeState.RUNNING if running and is_alive(running.pid, running.mark) else NodeState.STOPPED


def node_of(folder: Path, record: Record, *, cache: Path) -> Node:
    """Return the Node that a record describes."""
    place = PurePosixPath(folder)
    return Node(
        alias=record.alias,
        cluster=record.cluster,
        id=f"{record.alias}-{record.boot}",
        machine_id=str(folder),
        boot_id=record.boot,
        launched_at=datetime.fromtimestamp(record.booted_s, timezone.utc),
        state=state_of(folder, record),
        address=record.address,
        private_address=record.address,
        port=record.port,
        user=record.user,
        host_key=record.host_key,
        layout=Layout(
            env=place / "env",
            state=place / "state",
            logs=place / "logs",
            run=PurePosixPath(record.run),
            home=place.parent / "home",
            cache=PurePosixPath(cache),
        ),
        facets=FACETS,
        cores=record.cores,
        type="local",
    )


def node_folders(cluster: Path) -> list[Path]:
    """Return the folders of a cluster's nodes, the master first, then by number."""
    node_paths = [record.parent for record in cluster.glob("*/node.json")]
    return sorted(node_paths, key=lambda folder: (folder.name != MASTER, _natural_sort_key(folder.name)))


def _natural_sort_key(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def ensure_folders(folder: Path, run: Path) -> None:
    """Make the node's folders. The run folder is emptied, as at the boot of a real machine.

    Raises:
        OSError: the folders cannot be made.
    """
    for path in (folder.parent, folder.parent / "home", folder):
        ensure_folder(path)
    for name in ("state", "logs", "bin"):
        (folder / name).mkdir(exist_ok=True)
    _ensure_private(run.parent)
    remove_tree(run)
    run.mkdir(mode=0o700, parents=True)  # the end of another cluster may remove the parent in between


def run_folder(folder: Path) -> Path:
    """Return a folder with a short path for this node's sockets."""
    base = tempfile.gettempdir()
    if len(base) > _MAX_BASE_LENGTH:
        base = "/tmp"  # noqa: S108  # our folder below it is 0700, and its owner is checked
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:10]
    return Path(base) / f"clusterctl-{os.getuid()}" / name


def _ensure_private(path: Path) -> None:
    """Make a private folder. Its parent is open to all, so an existing folder must be ours; close it to others."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ProviderError(f"{path} belongs to somebody else", remedy="set TMPDIR to a folder of your own")
    path.chmod(0o700)


def remove_tree(path: Path) -> None:
    """Delete a folder and everything below it, read-only folders too. A missing folder is fine.

    Raises:
        OSError: a part could not be deleted.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # a file above it: somebody else took the name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            path.unlink()
            return
        try:
            shutil.rmtree(path)
        except PermissionError:
            for folder in _walk_folders(path):
                folder.chmod(0o700)
            shutil.rmtree(path)


def _walk_folders(path: Path) -> Iterator[Path]:
    yield path
    for name, folder_names, _ in os.walk(path):
        for folder_name in folder_names:
            folder = Path(name) / folder_name
            if not folder.is_symlink():
                yield folder
