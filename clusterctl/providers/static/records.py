"""Which hosts belong to which cluster. The hosts carry no tags of ours, so this computer keeps the record."""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.providers.static.hosts import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Member:
    """A host that a cluster has taken."""

    host: Host
    taken: str
    """Another word each time that a host is taken: whoever comes back after it left is a new member."""


@dataclass(frozen=True)
class Record:
    """A cluster of listed hosts."""

    cluster: str
    user: str
    """The cluster user."""
    shared_home: bool
    members: Mapping[str, Member]
    """By alias."""


class Records:
    """The records of all clusters: one file each, readable by its owner only, written whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who takes or frees hosts; waits for whoever else does."""
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._root / "lock").open("a")
        except OSError as exc:
            raise _unwritable(self._root, exc) from exc
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def all(self) -> list[Record]:
        """Every cluster's record."""
        files = sorted(self._root.glob("*.json")) if self._root.is_dir() else []
        records = [self.of(file.stem) for file in files if _NAME.fullmatch(file.stem)]
        return [record for record in records if record]

    def of(self, cluster: str) -> Record | None:
        """A cluster's record, or None if it has no hosts.

        Raises:
            ProviderError: there is a file that nobody can read.
        """
        path = self._path(cluster)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            members = {
                alias: Member(Host(**entry["host"]), entry["taken"]) for alias, entry in found["members"].items()
            }
            return Record(cluster, found["user"], found["shared_home"], members)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ProviderError(
                f"the record of the hosts of {cluster} cannot be read: {path}: {exc}",
                remedy=f"delete {path}: the hosts are then free, and what was set up on them stays",
            ) from exc

    def write(self, record: Record) -> None:
        """Keep a cluster's record; one without members is forgotten."""
        path = self._path(record.cluster)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if not record.members:
                path.unlink(missing_ok=True)
                return
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(asdict(record), file, indent=1)
            draft.replace(path)
        except OSError as exc:
            draft.unlink(missing_ok=True)
            raise _unwritable(path, exc) from exc

    def _path(self, cluster: str) -> Path:
        if not _NAME.fullmatch(cluster):
            raise ProviderError(f"{cluster!r} cannot be a cluster's name", remedy="use letters, digits, - and _")
        return self._root / f"{cluster}.json"


def _unwritable(path: Path, exc: OSError) -> ProviderError:
    return ProviderError(
        f"cannot write {path}: {exc.strerror or exc}",
        remedy="free some space or fix its permissions, or set CLUSTERCTL_HOME to another folder",
    )
