"""The logs of nodes as they are written, from several nodes at once, until somebody has seen enough."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.node.streamed import running_program
from clusterctl.operations.sending.places import open_node
from clusterctl.remote.running import ErrorReader
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.operations.context import RunContext

_PROGRAM = "clusterctl.on_node.system.seeing.tell_logs"
_IDLE_S = 20.0
_AGAIN_S = 3.0
_LONGEST_LINE = 1 << 20
_CHUNK = 65536


@dataclass(frozen=True)
class LogLine:
    """A line of a log."""

    node: str
    log: str
    """Its name without the ending; empty where the line is ours, about the node."""
    text: str


def find_engine(context: RunContext, number: int) -> str:
    """Return the node that an engine is on.

    Raises:
        UsageError: there is no such engine.
    """
    ids = hub.engine_ids(context.make_cluster(context.provider.nodes(context.name)))
    for alias, numbers in ids.items():
        if number in numbers:
            return alias
    raise UsageError(
        f"{context.name} has no engine {number}", remedy=f"`clusterctl top {context.name} --once` lists them"
    )


def follow_logs(
    context: RunContext, aliases: Sequence[str], *, pattern: str, lines: int, show: Callable[[LogLine], None]
) -> None:
    """Show what is written to logs, until KeyboardInterrupt. A node that is lost is tried again, where it was.

    Args:
        context: the context of the run.
        aliases: the nodes; none for all.
        pattern: of the logs' names.
        lines: of each log, the last ones that are there.
        show: called with each line, one at a time.
    """
    chosen = list(aliases) or [node.alias for node in context.provider.nodes(context.name)]
    lock = threading.Lock()

    def show_one(line: LogLine) -> None:
        with lock:
            show(line)

    followers = [_Follower(context, alias, pattern, lines, show_one) for alias in dict.fromkeys(chosen)]
    try:
        for follower in followers:
            follower.wait()
    finally:
        for follower in followers:
            follower.close()


class _Follower:
    """Follows the logs of one node."""

    def __init__(
        self, context: RunContext, alias: str, pattern: str, lines: int, show: Callable[[LogLine], None]
    ) -> None:
        self._context, self._alias, self._pattern, self._lines = context, alias, pattern, lines
        self._show = show
        self._positions: dict[str, list[int]] = {}
        self._closed = threading.Event()
        self._cluster: Cluster | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end, which does not come by itself. Ctrl-C gets through."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def close(self) -> None:
        """Follow no more. The program on the node ends with its connection."""
        self._closed.set()
        if self._cluster is not None:
            self._cluster.close()
        self._thread.join(1)

    def _run(self) -> None:
        said = ""
        while not self._closed.is_set():
            before = dict(self._positions)
            trouble = self._try()
            if self._closed.is_set():
                return
            if trouble != said or before != self._positions:
                self._show(LogLine(self._alias, "", f"not followed now: {trouble}; it is tried again"))
                said = trouble
            self._closed.wait(_AGAIN_S)

    def _try(self) -> str:
        try:
            self._cluster, node = open_node(self._context, self._alias)
            remote = self._cluster.on(node)
            remote.connect()
            values = {
                "folder": str(node.layout.logs),
                "pattern": self._pattern,
                "positions": self._positions,
                "lines": self._lines,
            }
            with running_program(remote, _PROGRAM, values, idle_s=_IDLE_S, sudo=True) as running:
                errors = ErrorReader(running.read_errors, keep=_CHUNK)
                pending = b""
                while chunk := running.read(_CHUNK):
                    *whole, pending = (pending + chunk).split(b"\n")
                    for line in whole:
                        self._take(line)
                    if len(pending) > _LONGEST_LINE:
                        raise ValueError("a line without an end")
                running.wait()
                said = errors.finish().strip().splitlines()
            return clean_text(said[-1][:200]) if said else "the connection was lost"
        except ClusterctlError as exc:
            return exc.message
        except TimeoutError:
            return f"it was silent for {_IDLE_S:.0f} s"
        except (OSError, EOFError) as exc:
            return clean_text(str(exc)) or "the connection was lost"
        except (ValueError, TypeError, KeyError, RecursionError):
            return "what it tells makes no sense"
        finally:
            if self._cluster is not None:
                self._cluster.close()

    def _take(self, line: bytes) -> None:
        """Show a line that a node has told. It is the node's word."""
        said = json.loads(line)
        if not said:
            return  # it lives
        name, text, (number, offset) = said["log"], said["text"], said["at"]
        if not (isinstance(name, str) and isinstance(text, str) and type(number) is type(offset) is int):
            raise ValueError("no line")
        if len(self._positions) < 1000 or name in self._positions:
            self._positions[name] = [number, offset]
        self._show(LogLine(self._alias, clean_text(name[:80]), text))
