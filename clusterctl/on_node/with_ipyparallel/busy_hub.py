"""Says whether the controller has work: what runs at the engines, and what waits for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hub_client import Hub
from .ports import is_open
from .probe_controller import load

if TYPE_CHECKING:
    from collections.abc import Callable

_WAIT_MS = 5000


def main(values: dict[str, Any]) -> Callable[[], str]:
    """Return what asks the controller whose files are in the folder `security`."""
    file = Path(values["security"]) / "ipcontroller-client.json"

    def ask() -> str:
        connection = load(file)
        if not connection or not is_open(connection["interface"].rpartition("/")[2], connection["registration"]):
            return ""  # one that does not run has no work
        hub = Hub(connection)
        try:
            hub.send("queue_request", {"targets": None, "verbose": False})
            if not hub.socket.poll(_WAIT_MS):
                raise OSError("the controller does not answer")
            return count_work(hub.receive())
        finally:
            hub.close()

    return ask


def count_work(queues: dict[str, Any]) -> str:
    """Return how many tasks there are, by the controller's answer; empty without any."""
    engines = [queue for queue in queues.values() if isinstance(queue, dict)]
    count = sum(int(queue.get(kind) or 0) for queue in engines for kind in ("queue", "tasks"))
    count += int(queues.get("unassigned") or 0)
    return f"{count} task{'' if count == 1 else 's'} at the controller" if count else ""
