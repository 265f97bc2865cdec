"""Answers one request about the detached maps of this cluster, on its master: a line of JSON, then bytes, both ways.

The laptop begins it over SSH, as the cluster user. So no port is open for it, and it works without a controller.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from clusterctl.clients.detached.local_store import LocalStore
from clusterctl.clients.detached.model import Order
from clusterctl.clients.here import find_here
from clusterctl.errors import ClusterctlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_LONGEST_HEAD = 1 << 20


class CutOffError(Exception):
    """The request was not whole."""


class Service:
    """The maps that a folder has, for who asks by a stream."""

    def __init__(self, store: LocalStore, source: BinaryIO) -> None:
        self._store, self._source = store, source
        self._answers: dict[str, Callable[[dict[str, Any]], tuple[object, bytes]]] = {
            "submit": self._submit,
            "look": lambda asked: (store.look(asked["name"]).as_json(), b""),
            "read": self._read,
            "resume": lambda asked: (store.resume(asked["name"]).as_json(), b""),
            "cancel": lambda asked: (store.cancel(asked["name"]).as_json(), b""),
            "forget": self._forget,
            "failure": lambda asked: ({}, store.failure(asked["name"])),
            "log": lambda asked: ({}, store.log(asked["name"]).encode()),
            "all": lambda _: ([status.as_json() for status in store.all()], b""),
        }

    def answer(self) -> tuple[dict[str, object], bytes]:
        """Read the request, do it, and return the answer's head and its bytes."""
        try:
            asked = json.loads(self._source.readline(_LONGEST_HEAD))
            said, content = self._answers[asked["do"]](asked)
        except ClusterctlError as exc:
            return {"error": exc.message, "remedy": exc.remedy}, b""
        except OSError as exc:
            return {"error": f"{exc.strerror}: {exc.filename}", "remedy": "see the disk of the master: `df`"}, b""
        return {"said": said, "size": len(content)}, content

    def _submit(self, asked: dict[str, Any]) -> tuple[object, bytes]:
        function, items = (self._take(asked[part]) for part in ("function", "items"))
        order = Order(function=function, items=items, **asked["order"])
        return self._store.submit(order).as_json(), b""

    def _forget(self, asked: dict[str, Any]) -> tuple[object, bytes]:
        self._store.forget(asked["name"])
        return {}, b""

    def _read(self, asked: dict[str, Any]) -> tuple[object, bytes]:
        status, part = self._store.read(asked["name"], asked["offset"], asked["wait_s"])
        return status.as_json(), part

    def _take(self, size: int) -> bytes:
        content = self._source.read(size)
        if len(content) < size:  # whoever sent it was killed, or cut off
            raise CutOffError
        return content


def main() -> None:
    """Answer the request on stdin."""
    here = find_here()
    if here is None or here.maps is None:
        head: dict[str, object] = {"error": "this node keeps no detached maps", "remedy": "ask the master"}
        content = b""
    else:
        head, content = Service(LocalStore(here.maps), sys.stdin.buffer).answer()
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
