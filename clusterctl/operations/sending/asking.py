"""Questions to what a node keeps, asked from the laptop over SSH: a process there answers one after the other."""

from __future__ import annotations

import json
import shlex
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl.errors import ClusterctlError, RemoteError, StateError
from clusterctl.remote.running import ErrorReader
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.remote.base import RunningCommand

T = TypeVar("T")
_IDLE_S = 120.0
_LONGEST_HEAD = 16 << 20
_LONGEST_CONTENT = 64 << 20
_PART = 1 << 20
_LONGEST_ERROR = 4096
_MISSING = "No module named"


class _CutOffError(Exception):
    """The process ended before it has answered."""


class _Process:
    """A process on the node that answers."""

    def __init__(self, running: RunningCommand) -> None:
        self._running = running
        self._errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
        self._read = bytearray()

    def send(self, parts: Iterable[bytes]) -> None:
        try:
            for part in parts:
                for at in range(0, len(part), _PART):
                    self._running.write(part[at : at + _PART])
        except TimeoutError:
            raise
        except OSError as exc:
            raise _CutOffError from exc

    def read_line(self) -> bytes:
        while b"\n" not in self._read and len(self._read) < _LONGEST_HEAD:
            self._read += self._next()
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read = bytearray(rest)
        return line

    def read_exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._read += self._next()
        content = bytes(self._read[:size])
        del self._read[:size]
        return content

    def _next(self) -> bytes:
        part = self._running.read(_PART)
        if not part:
            raise _CutOffError
        return part

    def finish(self) -> tuple[int, str]:
        """Return the status with which it ended, and what it said."""
        return self._running.wait(), self._errors.finish()

    def close(self) -> None:
        self._running.close()


class Questions:
    """A way to one program that answers on a node. The process and the connection stay for the next question."""

    def __init__(
        self,
        cluster: str,
        words: Callable[[Node], Sequence[str]],
        about: str,
        open_node: Callable[[], tuple[Cluster, Node]],
        *,
        error: Callable[[str, str], ClusterctlError],
    ) -> None:
        """Ask nothing yet.

        Args:
            cluster: its name.
            words: returns the module that answers, and its arguments.
            about: what is asked for, for errors.
            open_node: returns the cluster and the node, ready for a login as the cluster user.
            error: makes the error that the node has told, of its message and its remedy.
        """
        self._name, self._words, self._about, self._open_node = cluster, words, about, open_node
        self._error = error
        self._opened: tuple[Cluster, Node] | None = None
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def ask(
        self, asked: dict[str, Any], *, parse: Callable[[Any], T], content: Callable[[], Iterable[bytes]] = tuple
    ) -> tuple[T, bytes]:
        """Return what the node says, and the bytes that come with it.

        Args:
            asked: the question. It may come twice, where the first connection turns out to be lost.
            parse: checks what is said; raises ValueError, KeyError or TypeError where it makes no sense.
            content: yields the bytes that go with the question.

        Raises:
            ClusterctlError: the node refuses it.
            RemoteError: the node does not answer, or makes no sense.
        """
        with self._lock:
            try:
                head, bytes_said = self._ask_again(asked, content)
                return self._parse(head, parse), bytes_said
            except RemoteError:
                self.close()  # the next question logs in anew
                raise

    def _ask_again(self, asked: dict[str, Any], content: Callable[[], Iterable[bytes]]) -> tuple[dict[str, Any], bytes]:
        if self._process is not None:
            try:
                return self._ask_once(self._process, asked, content)
            except (_CutOffError, TimeoutError):  # it has ended since
                self.close()
        process = self._start()
        try:
            return self._ask_once(process, asked, content)
        except TimeoutError as exc:
            raise self._make_error(f"it was silent for {_IDLE_S:.0f} s") from exc
        except _CutOffError as exc:
            raise self._explain(*process.finish()) from exc

    def _start(self) -> _Process:
        if self._opened is None:
            self._opened = self._open_node()
        cluster, node = self._opened
        remote = cluster.on(node)
        remote.connect()
        command = shlex.join([str(node.layout.env / "bin" / "python"), "-m", *self._words(node)])
        self._process = _Process(remote.start_command(f"exec {command}", idle_s=_IDLE_S))
        return self._process

    def _ask_once(
        self, process: _Process, asked: dict[str, Any], content: Callable[[], Iterable[bytes]]
    ) -> tuple[dict[str, Any], bytes]:
        process.send([json.dumps(asked).encode() + b"\n"])
        process.send(content())
        line = process.read_line()
        try:
            head = json.loads(line)
            size = int(head.get("size", 0))
            if not 0 <= size <= _LONGEST_CONTENT:
                raise ValueError(size)
        except (ValueError, AttributeError, TypeError) as exc:
            raise self._make_error("its answer makes no sense") from exc
        try:
            said = process.read_exactly(size)
        except _CutOffError as exc:
            raise self._make_error("the connection was lost") from exc
        if not head.get("stays"):  # an older version answers once
            process.close()
            self._process = None
        return head, said

    def _parse(self, head: dict[str, Any], parse: Callable[[Any], T]) -> T:
        try:
            if "error" in head:
                raise self._error(clean_text(str(head["error"])), clean_text(str(head["remedy"])))
            return parse(head["said"])
        except (ValueError, KeyError, TypeError) as exc:
            raise self._make_error("its answer makes no sense") from exc

    def _explain(self, status: int, errors: str) -> ClusterctlError:
        if _MISSING in errors:
            return StateError(
                f"{self._name} was started by an older version or without ipcluster, and keeps no {self._about}",
                remedy=f"`clusterctl start {self._name}` brings what it lacks, where ipcluster is in PLUGINS",
            )
        lines = errors.strip().splitlines()
        return self._make_error(clean_text(lines[-1]) if lines else f"it ended with status {status}")

    def _make_error(self, why: str) -> RemoteError:
        alias = self._opened[1].alias if self._opened else ""
        return RemoteError(
            f"the {alias or 'master'} of {self._name} was asked for {self._about}: {why}",
            remedy=f"see `clusterctl status {self._name}`; what is done is kept there",
            node=alias,
        )

    def close(self) -> None:
        """Log out. What was asked for goes on."""
        if self._process is not None:
            self._process.close()
            self._process = None
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None
