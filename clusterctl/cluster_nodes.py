"""A cluster whose nodes can be reached: the object that plugins work with."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from textwrap import indent
from typing import TYPE_CHECKING, Any, TypeVar, overload

from clusterctl.clock import log_stamp
from clusterctl.errors import ClusterctlError, RemoteError
from clusterctl.files import read_own
from clusterctl.model import MASTER, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from clusterctl.events import Reporter
    from clusterctl.model import Machines, Request
    from clusterctl.notes import Note
    from clusterctl.remote.base import Remote

    Memory = Callable[[str, object], None]

T = TypeVar("T")
_MAX_THREADS = 32


class Cluster:
    """The nodes of one cluster, and one connection to each, made at the first use.

    Attributes:
        name: the cluster's name.
        machines: the settings that the template gives for every machine.
        folder: the folder (0700) on the laptop with this cluster's files.
        request: the merged requests of all plugins for every node.
    """

    def __init__(
        self,
        name: str,
        *,
        machines: Machines,
        nodes: Iterable[Node],
        request: Request,
        folder: Path,
        connector: Callable[[Node], Remote],
        report: Reporter,
        notes: Mapping[str, object],
        remember: Memory,
        cluster_id: Callable[[], str],
    ) -> None:
        self.name = name
        self._find_id = cluster_id
        self._id = ""
        self.machines = machines
        self.folder = folder
        self.request = request
        self._nodes = {node.alias: node for node in nodes}
        self._connector = connector
        self._report = report
        self._notes = dict(notes)
        self._remember = remember
        self._remotes: dict[str, Remote] = {}
        self._lock = threading.RLock()
        self.problems: list[str] = []
        self.endings: list[str] = []
        """What of a cluster that runs ends when its nodes join as prepared; see `will_end`."""
        self.record = ""
        """What the master keeps, so that another laptop can take the cluster over; empty where nothing is started."""
        self.record_brought = False
        """True if a plugin has taken it to the master."""
        self.ending = False
        """True while the cluster ends together with its machines: what ends with a node need not be undone."""
        self.all_leave = False
        """True while all nodes leave: no node stays that must be updated about the nodes that leave."""

    @property
    def user(self) -> str:
        """The cluster user."""
        return self.machines.user

    @property
    def public_key(self) -> str:
        """The public key that the cluster's nodes accept: ``ssh-ed25519 AAAA comment``."""
        return read_own(self.folder / "id_ed25519.pub").strip()

    @property
    def id(self) -> str:
        """The id that tells this cluster from all others of its name. It stays the same until the cluster ends."""
        if not self._id:  # asked for many times, of a journal with many lines
            self._id = self._find_id()
        return self._id

    @property
    def mark(self) -> str:
        """The text that marks a machine as a member of this cluster: the cluster's name and its id."""
        return f"{self.name} {self.id}"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, the master first."""
        return tuple(self._nodes.values())

    @property
    def master(self) -> Node:
        """The node that the others join."""
        return self.node(MASTER)

    @property
    def workers(self) -> tuple[Node, ...]:
        """All nodes but the master."""
        return tuple(node for node in self.nodes if not node.is_master)

    def node(self, alias: str) -> Node:
        """Return the node with this alias. A bare number means a worker: ``1`` is ``node001``."""
        wanted = f"node{int(alias):03d}" if alias.isdecimal() else alias
        if wanted not in self._nodes:
            raise ClusterctlError(
                f"cluster {self.name} has no node {alias}",
                remedy=f"its nodes: {', '.join(self._nodes) or 'none'}",
            )
        return self._nodes[wanted]

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Set the nodes of the cluster, once they exist."""
        self._nodes = {node.alias: node for node in nodes}

    def update_node(self, node: Node) -> None:
        """Replace a node of the cluster by a newer description of it."""
        self._nodes[node.alias] = node

    def mark_unreachable(self, alias: str) -> None:
        """Mark a node as unreachable. It stays on the list."""
        self._nodes[alias] = replace(self._nodes[alias], reachable=False)

    def on(self, node: Node) -> Remote:
        """Return the connection to a node. Nothing is sent before the first command."""
        with self._lock:
            if node.alias not in self._remotes:
                self._remotes[node.alias] = self._connector(node)
            return self._remotes[node.alias]

    def each(self, task: Callable[[Node], T], nodes: Iterable[Node] | None = None) -> dict[str, T]:
        """Run `task` for nodes in parallel. Return its results by alias.

        Raises:
            RemoteError: the task failed on some nodes, which the error names. All tasks have ended.
        """
        targets = list(self.nodes if nodes is None else nodes)
        if not targets:
            return {}
        with ThreadPoolExecutor(min(len(targets), _MAX_THREADS)) as pool:
            futures = {node.alias: pool.submit(task, node) for node in targets}
        failed = {alias: future.exception() for alias, future in futures.items() if future.exception()}
        if failed:
            raise _merge_errors(failed)
        return {alias: future.result() for alias, future in futures.items()}

    def say(self, text: str) -> None:
        """Show the user a step that begins now."""
        self._report.say(text)

    def progress(self, text: str, done: int, total: int) -> None:
        """Show the user the progress of the step `text`: `done` of `total`."""
        self._report.progress(text, done=done, total=total)

    def problem(self, text: str) -> None:
        """Report a problem that leaves the cluster usable. `start` then exits with 1."""
        self.problems.append(text)
        self._report.warn(text)

    def will_end(self, text: str) -> None:
        """Say in `clusterctl_prepare` what of a cluster that runs will end. The user is asked before anything changes.

        Args:
            text: what ends, such as ``6 engines with what is in memory``.
        """
        self.endings.append(text)

    def log_fault(self, text: str, traceback: str, *, node: Node | None = None) -> None:
        """Keep the traceback of a plugin's fault in the log of the node, or of the cluster's plugins.

        Args:
            text: which plugin and hook failed.
            traceback: the lines of the traceback.
            node: the node that the hook was called for.
        """
        log = self.folder / "logs" / f"{node.alias if node else 'plugins'}.log"
        with suppress(OSError):  # a full disk must not hide the fault
            log.parent.mkdir(exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{log_stamp()} {text}\n" + indent(traceback.rstrip("\n"), "    ") + "\n")
        self._report.trace(f"{text}\n{traceback.rstrip()}")

    @overload
    def recall(self, key: Note[T]) -> T | None: ...

    @overload
    def recall(self, key: str) -> object: ...

    def recall(self, key: Note[T] | str) -> object:
        """Return the value that was stored under a note, or None. It is lost if the laptop's files are lost.

        Args:
            key: the note; or its text alone, which gives the bare JSON value.
        """
        with self._lock:
            return self._notes.get(key) if isinstance(key, str) else key.load(self._notes.get(key.key))

    @overload
    def remember(self, key: Note[T], value: T) -> None: ...

    @overload
    def remember(self, key: str, value: object) -> None: ...

    def remember(self, key: Note[T] | str, value: Any) -> None:
        """Store a small value with the cluster, but no secrets.

        Args:
            key: the note; or a text, for any JSON value.
            value: of the note's type.
        """
        name, stored = (key, value) if isinstance(key, str) else (key.key, key.dump(value))
        with self._lock:
            if self._notes.get(name) != stored:
                self._notes[name] = stored
                self._remember(name, stored)

    @contextmanager
    def holding_notes(self) -> Iterator[None]:
        """Store what is remembered in the body at its end, and nothing of it if the body fails."""
        remember, before, held = self._remember, dict(self._notes), dict[str, object]()
        self._remember = held.__setitem__
        try:
            yield
        except BaseException:
            self._notes = before
            raise
        finally:
            self._remember = remember
        for name, value in held.items():
            remember(name, value)

    def bring_record(self) -> str:
        """Return what the master keeps, for a plugin that writes it there by a script that it runs anyway."""
        self.record_brought = bool(self.record)
        return self.record

    def close(self) -> None:
        """Log out of all nodes. Running commands are cut off."""
        with self._lock:
            remotes = list(self._remotes.values())
            self._remotes.clear()
        for remote in remotes:
            remote.close()

    def count_commands(self) -> dict[str, int]:
        """Return the number of remote commands run so far, by alias."""
        with self._lock:
            return {alias: remote.commands for alias, remote in self._remotes.items()}


def _merge_errors(failed: Mapping[str, BaseException | None]) -> ClusterctlError:
    """Return one error for many nodes: its message names all of them, its remedy is the first one."""
    errors = [error for error in failed.values() if error is not None]
    for error in errors:
        if not isinstance(error, ClusterctlError):
            raise error
    known = [error for error in errors if isinstance(error, ClusterctlError)]
    status = next((error.status for error in known if isinstance(error, RemoteError)), None)
    return RemoteError(
        "\n".join(error.message for error in known),
        remedy=known[0].remedy,
        node=",".join(failed),
        status=status,
    )
