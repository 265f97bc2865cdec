"""The records that say which hosts belong to which cluster. They are on this computer: hosts carry no tags."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.files import ensure_folder, write_own
from clusterctl.formats import Format, read_known
from clusterctl.laptop import locks
from clusterctl.providers.static.hosts import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FORMAT = Format("the record of the hosts", 1)
_COPY = ".copy"


@dataclass(frozen=True)
class Member:
    """A host that a cluster has taken."""

    host: Host
    taken: str
    """A new text each time that the host is taken: a host that left and comes back is a new member."""
    id: str = ""
    """The id of the node, where another computer has chosen it, which had another address of the host perhaps."""


@dataclass(frozen=True)
class Record:
    """The record of a cluster of listed hosts."""

    cluster: str
    user: str
    """The cluster user."""
    shared_home: bool
    members: Mapping[str, Member]
    """By alias."""
    id: str = ""
    """The id of the cluster; empty in a record of an earlier version."""


class Records:
    """The records of all clusters: one file each, readable by its owner only, written atomically."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Hold the lock for taking and freeing hosts. Waits while another process holds it."""
        try:
            ensure_folder(self._root)
            lock = (self._root / "lock").open("a")
        except OSError as exc:
            raise _write_error(self._root, exc) from exc
        with lock:
            locks.lock(lock)
            yield

    def read_all(self) -> list[Record]:
        """Return the records of all clusters.

        Raises:
            NewerFormatError: a newer version wrote one of them.
        """
        return [record for name in self._names() if (record := self._read_whole(name))]

    def read_known(self) -> list[Record]:
        """Return the records of all clusters, without those that a newer version wrote, or that are damaged."""
        return [record for record in read_known(self._read_whole, self._names()) if record]

    def _read_whole(self, cluster: str) -> Record | None:
        """Return a cluster's record; None if it is damaged: other clusters go on. Its hosts say whose they are."""
        try:
            return self.read_cluster(cluster)
        except ProviderError:
            return None

    def _names(self) -> list[str]:
        files = [*self._root.glob("*.json"), *self._root.glob(f"*{_COPY}")] if self._root.is_dir() else []
        names = {file.name.removesuffix(_COPY).removesuffix(".json") for file in files}
        return sorted(name for name in names if _NAME.fullmatch(name))

    def read_cluster(self, cluster: str) -> Record | None:
        """Return a cluster's record, or None if it has no hosts.

        Raises:
            NewerFormatError: a newer version wrote it.
            ProviderError: the file of the record cannot be read.
        """
        path = self._record_path(cluster)
        first: ProviderError | None = None
        for place in (path, _copy_of(path)):
            try:
                return _parse_record(cluster, place)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
                first = first or ProviderError(
                    f"the record of the hosts of {cluster} cannot be read: {path}: {exc}",
                    remedy=f"delete {path} and {_copy_of(path).name}: the hosts are then free, and what was set up on"
                    " them stays",
                )
        if first:
            raise first
        return None

    def write_record(self, record: Record) -> None:
        """Write a cluster's record. A record without members is deleted."""
        path = self._record_path(record.cluster)
        try:
            if not record.members:
                for place in (path, _copy_of(path)):
                    place.unlink(missing_ok=True)
                return
            text = json.dumps(_FORMAT.stamp(asdict(record)), indent=1)
            for place in (_copy_of(path), path):
                write_own(place, text)
        except OSError as exc:
            raise _write_error(path, exc) from exc

    def _record_path(self, cluster: str) -> Path:
        if not _NAME.fullmatch(cluster):
            raise ProviderError(f"{cluster!r} cannot be a cluster's name", remedy="use letters, digits, - and _")
        return self._root / f"{cluster}.json"


def _copy_of(path: Path) -> Path:
    """Return the second file of a record. If one is damaged the other counts: nobody else knows the hosts."""
    return path.with_name(f"{path.stem}{_COPY}")


def _parse_record(cluster: str, path: Path) -> Record:
    content = _FORMAT.unstamp(json.loads(path.read_text(encoding="utf-8")), path)
    members = {alias: _parse_member(entry) for alias, entry in content["members"].items()}
    return Record(cluster, content["user"], content["shared_home"], members, str(content.get("id") or ""))


def _parse_member(entry: Mapping[str, Any]) -> Member:
    return Member(Host(**entry["host"]), entry["taken"], str(entry.get("id") or ""))


def _write_error(path: Path, exc: OSError) -> ProviderError:
    return ProviderError(
        f"cannot write {path}: {exc.strerror or exc}",
        remedy="free some space or fix its permissions, or set CLUSTERCTL_HOME to another folder",
    )
