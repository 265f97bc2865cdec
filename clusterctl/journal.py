"""A cluster's folder on the laptop, and in it what was asked, written before asking.

`clusters/NAME/` holds `journal.jsonl`, `known_hosts`, `id_ed25519`, the connection files, `timings.json` and `logs/`.
Losing it loses neither machines nor the power to find and end them: the provider has the record of what exists.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from clusterctl.errors import StateError
from clusterctl.identity.endpoints import known_as
from clusterctl.identity.keys import ensure_key_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from clusterctl.model import Node


class ClusterFolder:
    """The files of one cluster. Everything is 0600 in a 0700 folder; a file is written whole or not at all."""

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self.path = home / "clusters" / name
        self._lock = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether this laptop knows of the cluster."""
        return self.journal.exists()

    @property
    def journal(self) -> Path:
        """One JSON object a line, oldest first."""
        return self.path / "journal.jsonl"

    @property
    def key(self) -> Path:
        """The private key that the cluster's nodes let in."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The nodes' host keys. A node that shows another one is refused."""
        return self.path / "known_hosts"

    def log(self, alias: str) -> Path:
        """What was run on a node, and what it said."""
        return self.path / "logs" / f"{alias}.log"

    def ensure(self) -> str:
        """Make the folder and the cluster's own key; returns the public key. May run twice."""
        try:
            (self.path / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            return ensure_key_pair(self.key)
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc

    def write(self, name: str, text: str) -> Path:
        """Write a file whole or not at all, readable by its owner only."""
        target = self.path / name
        temporary = target.with_name(f".{name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            temporary.replace(target)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise _unwritable(target, exc) from exc
        return target

    def read_json(self, name: str) -> object:
        """The content of one of our JSON files, or None if it is not there or not whole."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def record(self, event: str, **facts: object) -> None:
        """Append to the journal, on the disk before this returns."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts})
        try:
            with os.fdopen(os.open(self.journal, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+") as journal:
                # Behind a line that a crash cut short this one would be lost too.
                whole = journal.seek(0, os.SEEK_END) == 0 or os.pread(journal.fileno(), 1, journal.tell() - 1) == b"\n"
                journal.write((b"" if whole else b"\n") + line.encode() + b"\n")
                journal.flush()
                os.fsync(journal.fileno())
        except OSError as exc:
            raise _unwritable(self.journal, exc) from exc

    def events(self) -> list[dict[str, Any]]:
        """The journal, oldest first. A last line that a crash cut short is left out."""
        try:
            lines = self.journal.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        events = []
        for line in lines:
            try:
                events.append(json.loads(line))
            except ValueError:
                continue
        return events

    def notes(self) -> dict[str, object]:
        """What plugins asked to remember: the last value of each key."""
        return {str(e["key"]): e.get("value") for e in self.events() if e["event"] == "note"}

    def members(self) -> dict[str, tuple[str, str]]:
        """Who has joined: alias to (the machine's id, the plan's digest)."""
        members: dict[str, tuple[str, str]] = {}
        for event in self.events():
            if event["event"] == "joined":
                members[str(event["node"])] = (str(event["id"]), str(event["digest"]))
            elif event["event"] == "left":
                members.pop(str(event["node"]), None)
        return members

    def wanted(self) -> tuple[str, ...]:
        """The nodes that the cluster shall have: asked for and not removed since, the master first."""
        wanted: dict[str, None] = {}
        for event in self.events():
            aliases = [str(alias) for alias in event.get("nodes", [])] if event["event"] in {"create", "remove"} else []
            if event["event"] == "create":
                wanted |= dict.fromkeys(aliases)
            else:
                wanted = {alias: None for alias in wanted if alias not in aliases}
        return tuple(wanted)

    def special(self) -> dict[str, dict[str, Any]]:
        """By alias, what nodes were asked for with that differs from their template: fields of a `NodeSpec`."""
        found: dict[str, dict[str, Any]] = {}
        for event in self.events():
            if event["event"] == "create":
                found |= event.get("special") or {}
            elif event["event"] == "remove":
                found = {alias: fields for alias, fields in found.items() if alias not in event["nodes"]}
        # JSON knows lists only.
        return {
            alias: {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
            for alias, fields in found.items()
        }

    def provider(self) -> str | None:
        """The provider that has the nodes."""
        names = [str(e["provider"]) for e in self.events() if e["event"] == "create"]
        return names[-1] if names else None

    def template(self) -> str | None:
        """The cluster template that this cluster was last started from."""
        names = [str(e["template"]) for e in self.events() if e["event"] == "create"]
        return names[-1] if names else None

    def overrides(self) -> dict[str, str]:
        """What the command line of the last `start` said over the template."""
        found = [e["overrides"] for e in self.events() if e["event"] == "create"]
        last = found[-1] if found else None
        return {str(k): str(v) for k, v in last.items()} if isinstance(last, dict) else {}

    def host_keys(self) -> dict[str, str]:
        """The host keys of their own that nodes show in place of those they were born with, by machine.

        A machine is a node's id without the boot, which some providers put behind an ``@``.
        """
        return self._keys_of("host_key")

    def pin(self, nodes: Iterable[Node]) -> None:
        """Write the nodes' host keys to known_hosts; they are then the only ones accepted there.

        A node that was on its way from the key it was born with to its own may show either.
        """
        nodes = list(nodes)
        coming = self._keys_of("host_key_made") if any(node.bootstrap_key for node in nodes) else {}
        lines = []
        for node in nodes:
            own = coming.get(_machine(node.id)) if node.bootstrap_key else None
            lines += _lines(node, [node.host_key, own] if own else [node.host_key])
        with self._lock:
            self.write("known_hosts", "".join(lines))

    def expect_host_key(self, node: Node, key: str) -> None:
        """Write down the key that a node is about to show; from now on it is accepted, as is the one it had so far."""
        self.record("host_key_made", node=node.alias, id=node.id, key=key)
        self._pin_again(node, [node.host_key, key])

    def keep_host_key(self, node: Node, key: str) -> None:
        """Write down the key that a node shows from now on, and accept no other there."""
        self.record("host_key", node=node.alias, id=node.id, key=key)
        self._pin_again(node, [key])

    def _keys_of(self, event: str) -> dict[str, str]:
        found = [e for e in self.events() if e["event"] == event]
        return {_machine(str(e["id"])): str(e["key"]) for e in found}

    def _pin_again(self, node: Node, keys: Sequence[str]) -> None:
        """Give one node other lines in known_hosts. Many join at once."""
        name = known_as(node.address, node.port)
        with self._lock:
            lines = self.known_hosts.read_text(encoding="utf-8").splitlines(keepends=True)
            others = [line for line in lines if line.split(" ", 1)[0] != name]
            self.write("known_hosts", "".join([*others, *_lines(node, keys)]))

    def remove(self) -> None:
        """Forget the cluster. The lock's file goes last, with its folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who changes this cluster. Raises StateError at once if somebody else does."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.path / "lock").open("a+")
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                lock.seek(0)
                raise StateError(
                    f"another clusterctl is at work on {self.name} (process {lock.read().strip() or 'unknown'})",
                    remedy="wait for it to end, or end it; what it leaves half-done the next `start` completes",
                ) from exc
            with suppress(OSError):  # a full disk: the lock is held all the same
                os.ftruncate(lock.fileno(), 0)
                os.write(lock.fileno(), str(os.getpid()).encode())
            try:
                yield
            finally:
                self._drop_if_empty()

    def _drop_if_empty(self) -> None:
        """A command on a name that does not exist must leave no folder behind."""
        if self.path.is_dir() and {entry.name for entry in self.path.iterdir()} <= {"lock"}:
            self.remove()


def _machine(id_: str) -> str:
    """A node's id without its boot: host keys stay over a stop and a start."""
    return id_.partition("@")[0]


def _lines(node: Node, keys: Sequence[str]) -> list[str]:
    return [f"{known_as(node.address, node.port)} {key}\n" for key in keys]


def _unwritable(path: Path, exc: OSError) -> StateError:
    return StateError(
        f"cannot write {path}: {exc.strerror or exc}",
        remedy="free some space or fix its permissions, or set CLUSTERCTL_HOME to another folder",
    )
