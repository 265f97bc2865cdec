"""Runs a real task on an engine that has nothing to do, through the task scheduler, as a user's would."""

from __future__ import annotations

import os
import pickle
import time
from typing import TYPE_CHECKING, Any

import zmq

from .hub_client import Hub, read_content

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSY = "busy"
"""What is returned where no engine is idle."""
_ANSWER_S = 10.0


def try_task(connection: Mapping[str, Any], engines: Mapping[str, str]) -> str:
    """Run a task on one of these engines; return what is wrong, an empty text where it was answered, or BUSY."""
    hub = Hub(connection)
    try:
        number = _find_idle(hub, engines)
        if number is None:
            return BUSY
        return _run(hub, number, engines[number])
    finally:
        hub.close()


def _find_idle(hub: Hub, engines: Mapping[str, str]) -> str | None:
    hub.send("queue_request", {"targets": None, "verbose": False})
    if not hub.socket.poll(int(1000 * _ANSWER_S)):
        return None
    queues = hub.receive()
    idle = (number for number in engines if not any(queues.get(number, {}).get(key, 1) for key in ("queue", "tasks")))
    return next(idle, None)


def _run(hub: Hub, number: str, uuid: str) -> str:
    scheduler = hub.open(zmq.DEALER, "task")
    # What ipyparallel makes of a function without arguments that pickle sends by its name.
    parts = [pickle.dumps(os.getpid), pickle.dumps({"nargs": 0, "narg_bufs": 0, "kw_keys": []})]
    began = time.monotonic()
    scheduler.send_multipart(hub.pack("apply_request", {}, metadata={"targets": [uuid]}, buffers=parts))
    if not scheduler.poll(int(1000 * _ANSWER_S)):
        return f"engine {number} has not answered a task in {time.monotonic() - began:.0f} s"
    answer = read_content(scheduler.recv_multipart())
    return "" if answer.get("status") == "ok" else f"a task on engine {number} failed: {answer.get('evalue', '')}"
