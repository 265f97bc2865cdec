"""The detached maps of a cluster, asked from the laptop: each question is one command on the master, over SSH."""

from __future__ import annotations

import json
import shlex
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl.clients.detached.model import DetachedError, Order, Status, parse_status
from clusterctl.errors import ClusterctlError, RemoteError, StateError
from clusterctl.model import MASTER
from clusterctl.remote.running import ErrorReader, send_input
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.remote.base import RunningCommand

T = TypeVar("T")
_IDLE_S = 120.0
_LONGEST_HEAD = 16 << 20
_PART = 1 << 20
_LONGEST_ERROR = 4096
_MISSING = "No module named"


class RemoteStore:
    """What the master keeps. The connection stays open for the next question."""

    def __init__(self, name: str, open_master: Callable[[], tuple[Cluster, Node]]) -> None:
        """Ask nothing yet.

        Args:
            name: the cluster.
            open_master: returns the cluster and its master, ready for a login as the cluster user.
        """
        self._name, self._open_master = name, open_master
        self._opened: tuple[Cluster, Node] | None = None
        self._lock = threading.Lock()

    def submit(self, order: Order) -> Status:
        """See `model.Store`."""
        parts = {"function": len(order.function), "items": len(order.items)}
        asked = {"do": "submit", "order": {"name": order.name, **order.head()}, **parts}
        return self._ask(asked, order.function, order.items, parse=parse_status)[0]

    def look(self, name: str) -> Status:
        """See `model.Store`."""
        return self._ask({"do": "look", "name": name}, parse=parse_status)[0]

    def read(self, name: str, offset: int, wait_s: float) -> tuple[Status, bytes]:
        """See `model.Store`."""
        return self._ask({"do": "read", "name": name, "offset": offset, "wait_s": wait_s}, parse=parse_status)

    def resume(self, name: str) -> Status:
        """See `model.Store`."""
        return self._ask({"do": "resume", "name": name}, parse=parse_status)[0]

    def cancel(self, name: str) -> Status:
        """See `model.Store`."""
        return self._ask({"do": "cancel", "name": name}, parse=parse_status)[0]

    def forget(self, name: str) -> None:
        """See `model.Store`."""
        self._ask({"do": "forget", "name": name}, parse=_pass_over)

    def failure(self, name: str) -> bytes:
        """See `model.Store`."""
        return self._ask({"do": "failure", "name": name}, parse=_pass_over)[1]

    def log(self, name: str) -> str:
        """See `model.Store`."""
        return self._ask({"do": "log", "name": name}, parse=_pass_over)[1].decode(errors="replace")

    def all(self) -> list[Status]:
        """See `model.Store`."""
        return self._ask({"do": "all"}, parse=lambda said: [parse_status(one) for one in said])[0]

    def _ask(self, asked: dict[str, Any], *content: bytes, parse: Callable[[Any], T]) -> tuple[T, bytes]:
        """Return what the master says, and the bytes that come with it."""
        with self._lock:
            try:
                return self._parse(*self._ask_once(asked, content), parse)
            except RemoteError:
                self._close()  # the next question logs in anew
                raise

    def _ask_once(self, asked: dict[str, Any], content: tuple[bytes, ...]) -> tuple[bytes, bytes]:
        cluster, master = self._open()
        remote = cluster.on(master)
        remote.connect()
        python = shlex.quote(str(master.layout.env / "bin" / "python"))
        running = remote.start_command(f"exec {python} -m clusterctl.clients.serve_detached", idle_s=_IDLE_S)
        try:
            errors = ErrorReader(running.read_errors, keep=_LONGEST_ERROR)
            whole = (json.dumps(asked).encode() + b"\n", *content)
            send_input(running, (part[at : at + _PART] for part in whole for at in range(0, len(part), _PART)))
            head, rest = _read_answer(running)
            status = running.wait()
            said = errors.finish()
        except TimeoutError as exc:
            raise self._make_error(f"it was silent for {_IDLE_S:.0f} s") from exc
        finally:
            running.close()
        if not head or status:
            raise self._explain(status, said)
        return head, rest

    def _parse(self, head: bytes, content: bytes, parse: Callable[[Any], T]) -> tuple[T, bytes]:
        try:
            told = json.loads(head)
            if "error" in told:
                raise DetachedError(clean_text(str(told["error"])), remedy=clean_text(str(told["remedy"])))
            said, size = parse(told["said"]), int(told["size"])
        except (ValueError, KeyError, TypeError) as exc:
            raise self._make_error("its answer makes no sense") from exc
        if len(content) != size:
            raise self._make_error("the connection was lost")
        return said, content

    def _explain(self, status: int, errors: str) -> ClusterctlError:
        if _MISSING in errors:
            return StateError(
                f"{self._name} was started by an older version, which keeps no detached maps",
                remedy=f"`clusterctl start {self._name}` brings it what it lacks",
            )
        lines = errors.strip().splitlines()
        return self._make_error(clean_text(lines[-1]) if lines else f"it ended with status {status}")

    def _make_error(self, why: str) -> RemoteError:
        return RemoteError(
            f"the master of {self._name} was asked for detached maps: {why}",
            remedy=f"see `clusterctl status {self._name}`; what is done is kept there",
            node=MASTER,
        )

    def _open(self) -> tuple[Cluster, Node]:
        if self._opened is None:
            self._opened = self._open_master()
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None


def _pass_over(_said: object) -> None:
    """Take no interest in what is said beside the bytes."""


def _read_answer(running: RunningCommand) -> tuple[bytes, bytes]:
    """Return the first line of an answer, and what comes behind it."""
    answer = bytearray()
    while part := running.read(_PART):
        answer += part
        if len(answer) > 2 * _LONGEST_HEAD:
            break
    head, _, rest = bytes(answer).partition(b"\n")
    return head, rest
