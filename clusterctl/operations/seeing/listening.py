"""Listens to a program on a node for as long as it lasts, and begins anew when it, or the connection, has ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from clusterctl.clock import Deadline, Stopwatch
from clusterctl.errors import ClusterctlError
from clusterctl.node.streamed import running_program
from clusterctl.remote.running import ErrorReader
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.remote.base import RunningCommand

T = TypeVar("T")
_LONGEST_LINE = 16 << 20
"""Bytes. Ten thousand engines need a tenth of it."""
_CHUNK = 65536
_KEEP = 4096
_AGAIN_S, _AGAIN_MOST_S = 2.0, 30.0
"""Before a new try; twice as long each time that nothing came of it."""
_REST_S = 0.2
"""Between two looks at what has come: a node that floods us is heard no more often."""
_LOGINS = threading.BoundedSemaphore(32)


@dataclass(frozen=True)
class Program(Generic[T]):
    """A program on a node that tells something again and again."""

    module: str
    values: Callable[[Node], Mapping[str, object]]
    parse: Callable[[bytes], T]
    """Of a line; raises ValueError."""
    bare: bool
    """It needs no package."""


@dataclass(frozen=True)
class Heard(Generic[T]):
    """What was heard last."""

    value: T | None = None
    age_s: float = 0.0
    """Since it was heard, or since somebody began to listen."""
    trouble: str = ""
    """Why nothing is heard now; empty where something is, or nobody knows yet."""


class Listener(Generic[T]):
    """Listens to one program, in a thread of its own."""

    def __init__(
        self, program: Program[T], open_node: Callable[[], tuple[Cluster, Node]], *, every_s: float, idle_s: float
    ) -> None:
        """Begin.

        Args:
            program: the program.
            open_node: returns the cluster and the node, ready for a login.
            every_s: how often it tells.
            idle_s: how long it may be silent before the connection is given up.
        """
        self._program, self._open_node = program, open_node
        self._every_s, self._idle_s = every_s, idle_s
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._cluster: Cluster | None = None
        self._value: T | None = None
        self._trouble = ""
        self._watch = Stopwatch()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def heard(self) -> Heard[T]:
        """Return what was heard last."""
        with self._lock:
            return Heard(self._value, self._watch.elapsed_s, self._trouble)

    def close(self) -> None:
        """Listen no more. The program ends with its connection."""
        self._closed.set()
        with self._lock:
            cluster = self._cluster
        if cluster is not None:
            cluster.close()

    def join(self, deadline: Deadline) -> None:
        """Wait for the thread's end."""
        self._thread.join(deadline.left_s)

    def _run(self) -> None:
        again_s = _AGAIN_S
        while not self._closed.is_set():
            before = self._watch
            trouble = self._try()
            with self._lock:
                self._trouble = trouble
                again_s = _AGAIN_S if self._watch is not before else min(_AGAIN_MOST_S, 2 * again_s)
            self._closed.wait(again_s)

    def _try(self) -> str:
        """Listen until it ends; return why it did."""
        try:
            cluster, node = self._open_node()
        except ClusterctlError as exc:
            return exc.message
        with self._lock:
            self._cluster = cluster
        try:
            return "" if self._closed.is_set() else self._listen(cluster, node)
        except ClusterctlError as exc:
            return exc.message
        except TimeoutError:
            return f"it was silent for {self._idle_s:.0f} s"
        except (OSError, EOFError) as exc:
            return clean_text(str(exc)) or "the connection was lost"
        except ValueError:
            return "what it tells makes no sense"
        finally:
            cluster.close()

    def _listen(self, cluster: Cluster, node: Node) -> str:
        remote = cluster.on(node)
        with _LOGINS:
            remote.connect()
        values = {**self._program.values(node), "every_s": self._every_s}
        program = self._program
        with running_program(remote, program.module, values, idle_s=self._idle_s, bare=program.bare) as running:
            errors = ErrorReader(running.read_errors, keep=_KEEP)
            for line in self._lines(running):
                said = program.parse(line)
                with self._lock:
                    self._value, self._trouble, self._watch = said, "", Stopwatch()
            status = running.wait()
            lines = errors.finish().strip().splitlines()
        if status < 0:
            return "the connection was lost"
        return clean_text(lines[-1][:200]) if lines else f"it ended with status {status}"

    def _lines(self, running: RunningCommand) -> Iterator[bytes]:
        """Yield the newest whole line of what has come."""
        pending = b""
        while chunk := running.read(_CHUNK):
            *lines, pending = (pending + chunk).split(b"\n")
            if len(pending) > _LONGEST_LINE:
                raise ValueError("a line without an end")
            if lines:
                yield lines[-1]
                self._closed.wait(_REST_S)
