"""Answers questions about the detached maps of this cluster, and those of clients, on its master."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.clients import serving
from clusterctl.clients.detached.local_store import LocalStore
from clusterctl.clients.detached.model import DetachedError, Order
from clusterctl.clients.here import find_here
from clusterctl.clock import utc_now
from clusterctl.on_node.system.ending.demand import in_date_at
from clusterctl.on_node.system.ending.home_files import read_demand

if TYPE_CHECKING:
    from typing import BinaryIO

_MOST_CLIENTS = 200


class Service(serving.Service):
    """The maps that a folder has."""

    def __init__(self, store: LocalStore | None, source: BinaryIO) -> None:
        self._known = store
        super().__init__(
            source,
            {
                "submit": self._submit,
                "look": lambda asked: (self._store.look(asked["name"]).as_json(), b""),
                "read": self._read,
                "resume": lambda asked: (self._store.resume(asked["name"]).as_json(), b""),
                "cancel": lambda asked: (self._store.cancel(asked["name"]).as_json(), b""),
                "forget": self._forget,
                "failure": lambda asked: ({}, self._store.failure(asked["name"])),
                "log": lambda asked: ({}, self._store.log(asked["name"]).encode()),
                "clients": lambda _: (_look_at_clients(), b""),
                "all": lambda _: ([status.as_json() for status in self._store.all()], b""),
            },
        )

    @property
    def _store(self) -> LocalStore:
        if self._known is None:
            raise DetachedError("this node keeps no detached maps", remedy="ask the master")
        return self._known

    def _submit(self, asked: dict[str, Any]) -> tuple[object, bytes]:
        function, items = (self.take(asked[part]) for part in ("function", "items"))
        order = Order(function=function, items=items, **asked["order"])
        return self._store.submit(order).as_json(), b""

    def _forget(self, asked: dict[str, Any]) -> tuple[object, bytes]:
        self._store.forget(asked["name"])
        return {}, b""

    def _read(self, asked: dict[str, Any]) -> tuple[object, bytes]:
        status, part = self._store.read(asked["name"], asked["offset"], asked["wait_s"])
        return status.as_json(), part


def _look_at_clients() -> list[list[object]]:
    """Return the maps that clients have told the controller of: a name, items that are not done, items in a second."""
    demands = in_date_at(read_demand(Path.home() / ".clusterctl"), utc_now().timestamp())
    return [[name, demand.items, demand.rate] for name, demand in sorted(demands.items())[:_MOST_CLIENTS]]


def main() -> None:
    """Answer the questions on stdin."""
    here = find_here()
    store = LocalStore(here.maps) if here is not None and here.maps is not None else None
    Service(store, sys.stdin.buffer).serve(sys.stdout.buffer)


if __name__ == "__main__":
    main()
