"""Asks the controller what its engines are at and what waits for them, and has engines given nothing new before.

Who asks adds nodes for what waits: clients learn by it that they need not give up where no engine is.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from .agreed import demands, drains
from .hub_client import Hub
from .ports import is_open
from .probe_controller import load


def ask(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the controller says; `answered` says whether it does."""
    connection = load(Path(values["security"]) / "ipcontroller-client.json")
    if not connection or not is_open(connection["interface"].rpartition("/")[2], connection["registration"]):
        return {"answered": False}
    hub, deadline = Hub(connection), time.monotonic() + values["wait_s"]
    try:
        hub.send(demands.LISTENS, {})
        if hub.socket.poll(int(1000 * values["wait_s"])):
            hub.receive()  # whatever it is: an older version's knows no such word
        for numbers, over in ((values["drain"], False), (values["give_back"], True)):
            if numbers:
                hub.send(drains.REQUEST, {"engines": numbers, "over": over, "for_s": values["for_s"]})
        hub.send("queue_request", {"targets": None, "verbose": False})
        while hub.socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
            said = hub.receive()
            if "unassigned" in said:
                return {"answered": True, **read_queues(said)}
            if said.get("status") != "ok":
                return {"answered": False}  # an older version's, which drains nothing
        return {"answered": False}
    finally:
        hub.close()


def read_queues(said: dict[str, Any]) -> dict[str, Any]:
    """Return how many tasks each engine has and has done, and how many wait for any, by the controller's answer."""
    queues = {number: queue for number, queue in said.items() if isinstance(queue, dict)}
    engines = {
        number: [int(queue.get("queue") or 0) + int(queue.get("tasks") or 0), int(queue.get("completed") or 0)]
        for number, queue in queues.items()
    }
    return {"engines": engines, "unassigned": int(said.get("unassigned") or 0)}


def main(values: dict[str, Any]) -> None:
    """Ask the controller whose files are in the folder `security`, and print its answer."""
    print(json.dumps(ask(values)), flush=True)
