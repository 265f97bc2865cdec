"""A cluster's folder on the laptop, with the journal of requests, each written before the request is sent.

`clusters/NAME/` holds `journal.jsonl`, `id`, `config.json`, `known_hosts`, `id_ed25519`, the connection files,
`timings.json`, `turn.json` and `logs/`. If it is lost, the machines can still be found and ended: the provider has the
record of what exists.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from clusterctl.errors import NewerFormatError
from clusterctl.files import append_lines, ensure_folder, read_own, set_aside, write_own
from clusterctl.identity.endpoints import known_hosts_name
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.journal import ended, ids, past
from clusterctl.journal import events as journal_events
from clusterctl.journal.history import History
from clusterctl.journal.lock import LOCK_FILE, open_locked, write_error
from clusterctl.laptop.locks import KEEPS_OPEN_FILES, is_locked
from clusterctl.laptop.places import close_to_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from clusterctl.model import Node


CONFIG_COPY = "config.json"
"""The file with a copy of the config of the last start: what ends the cluster if the config is broken by then."""
TURN_FILE = "turn.json"
"""The file that counts the runs that change nodes (wiring/owner.py)."""
_ID_FILE = "id"
"""A second copy of the cluster's id: what belongs to the cluster can be proved if its journal is lost."""


class ClusterFolder(History):
    """The files of one cluster: 0600 in a 0700 folder, and written atomically."""

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self.path = home / "clusters" / name
        self._lock = threading.Lock()
        self.run = ""
        """The name of the run that holds the lock through this object, another one each time; else empty."""
        self._stamped = False
        """True if the journal is known to have the number of today's format."""

    @property
    def exists(self) -> bool:
        """Whether this laptop has files of the cluster, which nodes may belong to."""
        return self.journal_file.exists() or (self.path / _ID_FILE).exists()

    @property
    def journal_file(self) -> Path:
        """The journal file: one JSON object a line, oldest first."""
        return self.path / "journal.jsonl"

    @property
    def private_key_file(self) -> Path:
        """The private key that the cluster's nodes accept."""
        return self.path / "id_ed25519"

    @property
    def known_hosts_file(self) -> Path:
        """The file of the nodes' host keys. A node that shows another key is refused."""
        return self.path / "known_hosts"

    def log_file(self, alias: str) -> Path:
        """Return the log file of a node: the commands that ran on it, and their output."""
        return self.path / "logs" / f"{alias}.log"

    def ensure_exists(self) -> str:
        """Make the folder and the cluster's key pair. Return the public key. May run twice."""
        try:
            logs = self.path / "logs"
            if logs.exists() and not logs.is_dir():
                set_aside(logs)
            ensure_folder(logs)
            close_to_others(self.path)
            return ensure_key_pair(self.private_key_file)
        except OSError as exc:
            raise write_error(self.path, exc) from exc

    def write_file(self, name: str, text: str) -> Path:
        """Write a file atomically, readable by its owner only. Return its path."""
        target = self.path / name
        try:
            write_own(target, text)
        except OSError as exc:
            raise write_error(target, exc) from exc
        return target

    def read_json(self, name: str) -> object:
        """Return the content of a JSON file in the folder, or None if it is missing or not valid."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def record(self, event: str, **facts: object) -> None:
        """Append an event to the journal. It is on the disk when this returns."""
        stamp = "" if self._is_stamped() else journal_events.format_stamp()
        try:
            append_lines(self.journal_file, stamp + journal_events.format_line({"event": event, **facts}))
        except OSError as exc:
            raise write_error(self.journal_file, exc) from exc
        self._stamped = True

    def _is_stamped(self) -> bool:
        """Return whether the journal says that its format is today's. One of an older version may be continued."""
        if not self._stamped:
            self._stamped = self._read_lines().number == journal_events.JOURNAL_FORMAT.number
        return self._stamped

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the journal, oldest first. Lines that are none, or were cut short, are left out.

        Raises:
            NewerFormatError: a newer version has written to the journal.
        """
        return list(self._read_lines().events)

    def _read_lines(self) -> journal_events.Lines:
        try:
            text = self.journal_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return journal_events.Lines(0, ())
        return journal_events.read_lines(text, self.journal_file)

    def set_aside_broken(self) -> list[str]:
        """Take the broken lines out of the journal, and keep them beside it. Return what was done, for the user.

        Call it with the lock held: nobody else may write meanwhile.
        """
        if self.journal_file.is_dir():
            aside = set_aside(self.journal_file)
            return [f"{self.journal_file} is no file: it is {aside} now"]
        lines = self._read_lines()
        if not lines.broken:
            return []
        aside = set_aside(self.journal_file)
        if aside is None:
            return [f"{self.journal_file} has lines that nobody can read, and cannot be mended: they are left out"]
        self.write_file(self.journal_file.name, "".join(f"{line}\n" for line in lines.whole))
        count = f"{len(lines.broken)} of {len(lines.broken) + len(lines.whole)} lines"
        return [f"{self.journal_file} was damaged: {count} were left out, and the old file is {aside}"]

    @property
    def cluster_id(self) -> str:
        """The id that tells the cluster from all others of its name; empty if this laptop does not know it.

        A cluster of an earlier version had none: the fingerprint of its key, by which its hosts knew it, stands for it.
        """
        events = self.events()
        known = journal_events.find_id(events)
        if known and ids.is_id(known):
            return known
        if in_file := self._id_in_file():
            return in_file
        if any(event["event"] == "create" for event in events):
            with suppress(ValueError):
                public = self.private_key_file.with_name(f"{self.private_key_file.name}.pub")
                return ids.fingerprint(read_own(public))
        return ""

    def _id_in_file(self) -> str:
        text = read_own(self.path / _ID_FILE).strip()
        return text if ids.is_id(text) else ""

    def ensure_id(self) -> str:
        """Return the cluster's id. A new cluster gets one, which is on the disk when this returns."""
        known = self.cluster_id
        return self.take_id(known or ids.new_id())

    def take_id(self, id_: str) -> str:
        """Record that this folder is of the cluster with this id, and return the id."""
        try:
            if journal_events.find_id(self.events()) != id_:
                self.record(journal_events.IDENTITY, id=id_)
            ids.remember_id(self._home, id_, self.name)
            if self._id_in_file() != id_:
                self.write_file(_ID_FILE, f"{id_}\n")
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        return id_

    def pin_host_keys(self, nodes: Iterable[Node]) -> None:
        """Write the nodes' host keys to known_hosts. No other keys are accepted then.

        A node that is changing from its first key to its own key may show either.
        """
        nodes = list(nodes)
        coming = self._recorded_keys("host_key_made") if any(node.bootstrap_key for node in nodes) else {}
        lines = []
        for node in nodes:
            own = coming.get(node.machine_id) if node.bootstrap_key else None
            lines += _known_hosts_lines(node, [node.host_key, own] if own else [node.host_key])
        with self._lock:
            self.write_file("known_hosts", "".join(lines))

    def expect_host_key(self, node: Node, key: str) -> None:
        """Record the key that a node will show soon. From now on both this key and the present one are accepted."""
        self.record("host_key_made", node=node.alias, id=node.id, machine=node.machine_id, key=key)
        self._replace_host_keys(node, [node.host_key, key])

    def keep_host_key(self, node: Node, key: str) -> None:
        """Record the key that a node shows from now on, and accept no other."""
        self.record("host_key", node=node.alias, id=node.id, machine=node.machine_id, key=key)
        self._replace_host_keys(node, [key])

    def _replace_host_keys(self, node: Node, keys: Sequence[str]) -> None:
        """Replace the lines of one node in known_hosts. Under the lock, because many nodes join at once."""
        name = known_hosts_name(node.address, node.port)
        with self._lock:
            lines = read_own(self.known_hosts_file).splitlines(keepends=True)
            others = [line for line in lines if line.split(" ", 1)[0] != name]
            self.write_file("known_hosts", "".join([*others, *_known_hosts_lines(node, keys)]))

    @property
    def was_ended(self) -> bool:
        """Whether a cluster of this name was ended from this laptop before."""
        return ended.was_ended(self._home, self.name)

    def remember_end(self) -> None:
        """Remember that a cluster of this name was ended."""
        ended.remember_end(self._home, self.name)

    @property
    def _home(self) -> Path:
        return self.path.parent.parent

    def delete_folder(self) -> None:
        """Delete the folder of the cluster. The lock file is last: once it is gone another command may begin."""
        if self.path.is_symlink() or not self.path.is_dir():
            with suppress(OSError):
                self.path.unlink()  # whatever has taken the folder's name
            return
        with suppress(NewerFormatError):
            past.keep_ledger(self._home, past.make_ledger(self.name, self.cluster_id, self.events()))
        for entry in self.path.iterdir():
            if entry.name == LOCK_FILE:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with suppress(OSError):
                    entry.unlink()
        with suppress(OSError):  # Windows keeps what is open, and another command's files stay
            (self.path / LOCK_FILE).unlink(missing_ok=True)
            self.path.rmdir()

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Hold the lock for changing this cluster. Raises StateError at once if another process holds it."""
        with open_locked(self.path, self.name) as lock:
            with suppress(OSError):  # on a full disk the lock is still held
                os.ftruncate(lock.fileno(), 0)
                os.write(lock.fileno(), str(os.getpid()).encode())
            self.run = secrets.token_hex(6)
            try:
                yield
            finally:
                self.run = ""
                self._drop_if_empty()
        if KEEPS_OPEN_FILES:
            self._drop_if_empty()

    @property
    def is_at_work(self) -> bool:
        """Whether another process brings nodes of the cluster up at this moment."""
        if not self.is_unfinished():
            return False
        try:
            with (self.path / LOCK_FILE).open("rb") as file:
                return is_locked(file)
        except OSError:
            return False

    def lock_if_exists(self) -> AbstractContextManager[None]:
        """Hold the lock like `exclusive_lock`, for reading alone: nobody is at work on a folder that does not exist."""
        return self.exclusive_lock() if self.path.is_dir() else nullcontext()

    def _drop_if_empty(self) -> None:
        """Remove a folder that holds only the lock and the turn: a command on an unknown name must leave no folder."""
        if self.path.is_dir() and {entry.name for entry in self.path.iterdir()} <= {LOCK_FILE, TURN_FILE}:
            self.delete_folder()


def _known_hosts_lines(node: Node, keys: Sequence[str]) -> list[str]:
    return [f"{known_hosts_name(node.address, node.port)} {key}\n" for key in keys]
