"""A cluster's folder on the laptop, with the journal of requests, each written before the request is sent.

`clusters/NAME/` holds `journal.jsonl`, `config.json`, `known_hosts`, `id_ed25519`, the connection files,
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
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.errors import StateError
from clusterctl.files import write_atomically
from clusterctl.formats import Format
from clusterctl.identity.endpoints import known_hosts_name
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.laptop.locks import KEEPS_OPEN_FILES, try_lock
from clusterctl.laptop.places import close_to_others
from clusterctl.model import Market, NodeOverrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from clusterctl.model import Node


CONFIG_COPY = "config.json"
"""The file with a copy of the config of the last start: what ends the cluster if the config is broken by then."""
TURN_FILE = "turn.json"
"""The file that counts the runs that change nodes (wiring/owner.py)."""
JOURNAL_FORMAT = Format("the journal", 1)
_FORMAT_EVENT = "format"


class ClusterFolder:
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
        """Whether this laptop has files of the cluster."""
        return self.journal_file.exists()

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
            (self.path / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
            close_to_others(self.path)
            return ensure_key_pair(self.private_key_file)
        except OSError as exc:
            raise _write_error(self.path, exc) from exc

    def write_file(self, name: str, text: str) -> Path:
        """Write a file atomically, readable by its owner only. Return its path."""
        target = self.path / name
        try:
            write_atomically(target, text)
        except OSError as exc:
            raise _write_error(target, exc) from exc
        return target

    def read_json(self, name: str) -> object:
        """Return the content of a JSON file in the folder, or None if it is missing or not valid."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def record(self, event: str, **facts: object) -> None:
        """Append an event to the journal. It is on the disk when this returns."""
        stamp = "" if self._is_stamped() else _journal_line(JOURNAL_FORMAT.stamp({"event": _FORMAT_EVENT}))
        text = stamp + _journal_line({"event": event, **facts})
        try:
            with os.fdopen(os.open(self.journal_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+") as journal:
                # A line that a crash cut short must be ended first, or this line would be lost too.
                size = journal.seek(0, os.SEEK_END)
                journal.seek(max(0, size - 1))
                whole = journal.read(1) in {b"", b"\n"}
                journal.seek(0, os.SEEK_END)
                journal.write((b"" if whole else b"\n") + text.encode())
                journal.flush()
                os.fsync(journal.fileno())
        except OSError as exc:
            raise _write_error(self.journal_file, exc) from exc
        self._stamped = True

    def _is_stamped(self) -> bool:
        """Return whether the journal says that its format is today's. One of an older version may be continued."""
        if not self._stamped:
            self._stamped = self._read_events()[0] == JOURNAL_FORMAT.number
        return self._stamped

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the journal, oldest first. Lines that a crash cut short are left out.

        Raises:
            NewerFormatError: a newer version has written to the journal.
        """
        return self._read_events()[1]

    def _read_events(self) -> tuple[int, list[dict[str, Any]]]:
        """Return the format of the journal, and its events."""
        try:
            lines = self.journal_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return 0, []
        number, events = 0, []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("event") == _FORMAT_EVENT:
                number = max(number, JOURNAL_FORMAT.check(event["format"], event["written_by"], self.journal_file))
            else:
                events.append(event)
        return number, events

    def plugin_notes(self) -> dict[str, object]:
        """Return the values that plugins stored: the last value of each key."""
        return {str(e["key"]): e.get("value") for e in self.events() if e["event"] == "note"}

    def joined_members(self) -> dict[str, tuple[str, str]]:
        """Return the nodes that have joined: alias to (the machine's id, the plan's digest)."""
        members: dict[str, tuple[str, str]] = {}
        for event in self.events():
            if event["event"] == "joined":
                members[str(event["node"])] = (str(event["id"]), str(event["digest"]))
            elif event["event"] == "left":
                members.pop(str(event["node"]), None)
        return members

    def wanted_nodes(self) -> tuple[str, ...]:
        """Return the aliases that the cluster should have: requested and not removed since, the master first."""
        wanted: dict[str, None] = {}
        for event in self.events():
            aliases = [str(alias) for alias in event.get("nodes", [])] if event["event"] in {"create", "remove"} else []
            if event["event"] == "create":
                wanted |= dict.fromkeys(aliases)
            else:
                wanted = {alias: None for alias in wanted if alias not in aliases}
        return tuple(wanted)

    def node_overrides(self) -> dict[str, NodeOverrides]:
        """Return what was requested for single nodes, by alias."""
        overrides: dict[str, dict[str, Any]] = {}
        for event in self.events():
            if event["event"] == "create":
                overrides |= event.get("special") or {}
            elif event["event"] == "remove":
                overrides = {alias: fields for alias, fields in overrides.items() if alias not in event["nodes"]}
        return {alias: _parse_overrides(fields) for alias, fields in overrides.items()}

    def last_provider(self) -> str | None:
        """Return the provider that has the nodes, or None."""
        names = [str(e["provider"]) for e in self.events() if e["event"] == "create"]
        return names[-1] if names else None

    def last_template(self) -> str | None:
        """Return the template of the last start, or None."""
        names = [str(e["template"]) for e in self.events() if e["event"] == "create"]
        return names[-1] if names else None

    def last_config(self) -> str | None:
        """Return the config file of the last start, if it was named by `-c` or $CLUSTERCTL_CONFIG; else None."""
        files = [event.get("config") for event in self.events() if event["event"] == "create"]
        return str(files[-1]) if files and files[-1] else None

    def last_overrides(self) -> dict[str, str]:
        """Return the options that the command line of the last `start` changed."""
        recorded = [e["overrides"] for e in self.events() if e["event"] == "create"]
        last = recorded[-1] if recorded else None
        return {str(k): str(v) for k, v in last.items()} if isinstance(last, dict) else {}

    def host_keys(self) -> dict[str, str]:
        """Return the host keys that nodes made for themselves and show instead of their first keys, by machine."""
        return self._recorded_keys("host_key")

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

    def _recorded_keys(self, event: str) -> dict[str, str]:
        return read_machine_keys(self.events(), event)

    def _replace_host_keys(self, node: Node, keys: Sequence[str]) -> None:
        """Replace the lines of one node in known_hosts. Under the lock, because many nodes join at once."""
        name = known_hosts_name(node.address, node.port)
        with self._lock:
            lines = self.known_hosts_file.read_text(encoding="utf-8").splitlines(keepends=True)
            others = [line for line in lines if line.split(" ", 1)[0] != name]
            self.write_file("known_hosts", "".join([*others, *_known_hosts_lines(node, keys)]))

    @property
    def was_ended(self) -> bool:
        """Whether a cluster of this name was ended from this laptop before."""
        return self.name in self._ended_names()

    def remember_end(self) -> None:
        """Remember that a cluster of this name was ended, so that to end it again is a success and no misspelt name."""
        if self.was_ended:
            return
        try:
            with os.fdopen(os.open(self._ended_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
                file.write(f"{self.name}\n")
        except OSError as exc:
            raise _write_error(self._ended_file, exc) from exc

    @property
    def _ended_file(self) -> Path:
        return self.path.parent.parent / "ended.txt"

    def _ended_names(self) -> list[str]:
        try:
            return self._ended_file.read_text(encoding="utf-8").split()
        except OSError:
            return []

    def delete_folder(self) -> None:
        """Delete the folder of the cluster. The lock file is deleted with it, last."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Hold the lock for changing this cluster. Raises StateError at once if another process holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.path / "lock").open("a+")
        except OSError as exc:
            raise _write_error(self.path, exc) from exc
        with lock:
            if not try_lock(lock):
                lock.seek(0)
                raise StateError(
                    f"another clusterctl is at work on {self.name} (process {lock.read().strip() or 'unknown'})",
                    remedy="wait for it to end, or end it; what it leaves half-done the next `start` completes",
                )
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

    def lock_if_exists(self) -> AbstractContextManager[None]:
        """Hold the lock like `exclusive_lock`, for reading alone: nobody is at work on a folder that does not exist."""
        return self.exclusive_lock() if self.path.is_dir() else nullcontext()

    def _drop_if_empty(self) -> None:
        """Remove a folder that holds only the lock and the turn: a command on an unknown name must leave no folder."""
        if self.path.is_dir() and {entry.name for entry in self.path.iterdir()} <= {"lock", TURN_FILE}:
            self.delete_folder()


def _journal_line(entry: dict[str, object]) -> str:
    return json.dumps({"time": utc_now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z"), **entry}) + "\n"


def describe_overrides(overrides: NodeOverrides) -> dict[str, object]:
    """Return what was requested for a node as the journal has it: the fields that are set, the bid as a text."""
    fields = {name: str(value) if name == "bid" else value for name, value in asdict(overrides).items() if value}
    return {name: value.value if isinstance(value, Market) else value for name, value in fields.items()}


def _parse_overrides(fields: Mapping[str, Any]) -> NodeOverrides:
    return NodeOverrides(
        types=tuple(fields.get("types") or ()),
        market=Market(fields.get("market") or ""),
        bid=Decimal(fields["bid"]) if fields.get("bid") else None,
        image=fields.get("image") or "",
        vcpus=fields.get("vcpus"),
        memory_gb=fields.get("memory_gb"),
    )


def read_machine_keys(events: Iterable[Mapping[str, Any]], kind: str = "host_key") -> dict[str, str]:
    """Return the host keys in the events of this kind, by machine: keys survive a stop and a start.

    Earlier versions recorded only the node's id: the machine's, an ``@``, and the boot's.
    """
    entries = [event for event in events if event["event"] == kind]
    return {str(entry.get("machine") or str(entry["id"]).partition("@")[0]): str(entry["key"]) for entry in entries}


def _known_hosts_lines(node: Node, keys: Sequence[str]) -> list[str]:
    return [f"{known_hosts_name(node.address, node.port)} {key}\n" for key in keys]


def _write_error(path: Path, exc: OSError) -> StateError:
    return StateError(
        f"cannot write {path}: {exc.strerror or exc}",
        remedy="free some space or fix its permissions, or set CLUSTERCTL_HOME to another folder",
    )
