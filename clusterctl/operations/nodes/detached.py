"""The detached maps of a cluster, asked from the laptop: questions to the master, over SSH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clients.detached.model import DetachedError, Order, Status, parse_status
from clusterctl.operations.sending.asking import Questions
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node

_MODULE = "clusterctl.clients.serve_detached"
_LONGEST = 80


@dataclass(frozen=True)
class ClientMaps:
    """The maps of one client that are under way: a pool's, joblib's, or an executor's."""

    name: str
    left: int
    """Items that are not done."""
    rate: float
    """Items that were done in a second of late."""


class RemoteStore:
    """What the master keeps. The connection stays open for the next question."""

    def __init__(self, name: str, open_master: Callable[[], tuple[Cluster, Node]]) -> None:
        """Ask nothing yet.

        Args:
            name: the cluster.
            open_master: returns the cluster and its master, ready for a login as the cluster user.
        """
        self._questions = Questions(
            name,
            lambda _: [_MODULE],
            "detached maps",
            open_master,
            error=lambda message, remedy: DetachedError(message, remedy=remedy),
        )

    def submit(self, order: Order) -> Status:
        """See `model.Store`."""
        parts = {"function": len(order.function), "items": len(order.items)}
        asked = {"do": "submit", "order": {"name": order.name, **order.head()}, **parts}
        return self._questions.ask(asked, parse=parse_status, content=lambda: (order.function, order.items))[0]

    def look(self, name: str) -> Status:
        """See `model.Store`."""
        return self._questions.ask({"do": "look", "name": name}, parse=parse_status)[0]

    def read(self, name: str, offset: int, wait_s: float) -> tuple[Status, bytes]:
        """See `model.Store`."""
        asked = {"do": "read", "name": name, "offset": offset, "wait_s": wait_s}
        return self._questions.ask(asked, parse=parse_status)

    def resume(self, name: str) -> Status:
        """See `model.Store`."""
        return self._questions.ask({"do": "resume", "name": name}, parse=parse_status)[0]

    def cancel(self, name: str) -> Status:
        """See `model.Store`."""
        return self._questions.ask({"do": "cancel", "name": name}, parse=parse_status)[0]

    def forget(self, name: str) -> None:
        """See `model.Store`."""
        self._questions.ask({"do": "forget", "name": name}, parse=_pass_over)

    def failure(self, name: str) -> bytes:
        """See `model.Store`."""
        return self._questions.ask({"do": "failure", "name": name}, parse=_pass_over)[1]

    def log(self, name: str) -> str:
        """See `model.Store`."""
        return self._questions.ask({"do": "log", "name": name}, parse=_pass_over)[1].decode(errors="replace")

    def all(self) -> list[Status]:
        """See `model.Store`."""
        return self._questions.ask({"do": "all"}, parse=_parse_all)[0]

    def clients(self) -> list[ClientMaps]:
        """Return what clients do that map now: those whose maps take longer than a second."""
        return self._questions.ask({"do": "clients"}, parse=_parse_clients)[0]

    def close(self) -> None:
        """Log out."""
        self._questions.close()


def _parse_clients(said: Any) -> list[ClientMaps]:
    """Leave out what makes no sense: whoever has the home may write such a file."""
    clients = []
    for row in said:
        name, items, rate = row
        if isinstance(name, str) and all(map(_is_count, (items, rate))):
            clients.append(ClientMaps(clean_text(name[:_LONGEST]), int(items), float(rate)))
    return clients


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e12


def _parse_all(said: Any) -> list[Status]:
    return [parse_status(one) for one in said]


def _pass_over(_said: object) -> None:
    """Take no interest in what is said beside the bytes."""
