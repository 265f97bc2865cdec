"""Tells what the engines do and what waits for them, a line of JSON each time, until who looks has gone.

The hub knows how many tasks each engine has. What it is at, an engine says itself, and is asked only when it has begun
something since: an engine that is at one task for an hour is asked once.
"""

from __future__ import annotations

import json
import os
import select
import time
import uuid
from pathlib import Path
from typing import Any

import zmq

from .agreed import cancels, probes
from .hub_client import DELIMITER, Hub, read_content
from .ports import is_open
from .probe_controller import load

_ANSWER_MS = 2000
_ENGINES_S = 0.5
"""For engines' threads of control messages."""
_AT_ONCE = 32
"""Engines that are asked in one round."""
_SHARE = 0.005
"""Of a core, at most, for this program: a round that takes long is followed by a longer pause."""


class Work:
    """What is known of the work at one controller."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self.connection = connection
        self._hub = Hub(connection)
        name = b"-" + uuid.uuid4().hex[:12].encode()
        # Who is registered is asked as probes ask it: without a line in the controller's log each time.
        self._registered = self._hub.open(zmq.DEALER, "registration", identity=probes.NAME + name)
        self._control = self._hub.open(zmq.DEALER, "control", identity=cancels.NAME + name)
        self._asked: dict[str, tuple[Any, float]] = {}
        """By the uuid of an engine: what the hub said of it when it was last asked, and when that was."""
        self._tasks: dict[str, dict[str, Any]] = {}
        """By the uuid: what it was at then."""
        self._counted: tuple[float, int] | None = None

    def look(self) -> dict[str, Any]:
        """Return what there is now."""
        engines = self._ask(self._registered, "connection_request", {}).get("engines")
        queues = self._ask(self._hub.socket, "queue_request", {"targets": None, "verbose": False})
        if not isinstance(engines, dict) or "unassigned" not in queues:
            return {"answered": False}
        counts = {number: queues.get(number) or {} for number in engines}
        busy = {
            number: engine
            for number, engine in engines.items()
            if counts[number].get("queue") or counts[number].get("tasks")
        }
        self._ask_engines({engine: counts[number] for number, engine in busy.items()})
        return {
            "answered": True,
            "waiting": queues["unassigned"],
            "rate": self._rate(sum(count.get("completed", 0) for count in counts.values())),
            "engines": {
                number: {"tasks": counts[number].get("queue", 0) + counts[number].get("tasks", 0), **self._task(engine)}
                for number, engine in engines.items()
            },
        }

    def _ask(self, socket: zmq.Socket[bytes], kind: str, content: dict[str, Any]) -> dict[str, Any]:
        socket.send_multipart(self._hub.pack(kind, content))
        return read_content(socket.recv_multipart()) if socket.poll(_ANSWER_MS) else {}

    def _rate(self, completed: int) -> float | None:
        """Return the tasks that ended in a second, since the look before."""
        now = time.monotonic()
        before, self._counted = self._counted, (now, completed)
        return max(0.0, (completed - before[1]) / (now - before[0])) if before else None

    def _ask_engines(self, busy: dict[str, Any]) -> None:
        """Ask those that have begun something since they were last asked, those first that were asked longest ago."""
        self._tasks = {engine: task for engine, task in self._tasks.items() if engine in busy}
        self._asked = {engine: asked for engine, asked in self._asked.items() if engine in busy}
        changed = [engine for engine, counts in busy.items() if self._asked.get(engine, (None, 0))[0] != counts]
        changed = sorted(changed, key=lambda engine: self._asked.get(engine, (None, 0.0))[1])[:_AT_ONCE]
        request = {"client": "", "look": True, "marker": ""}
        for engine in changed:
            self._asked[engine] = (busy[engine], time.monotonic())
            self._tasks.pop(engine, None)
            self._control.send_multipart([engine.encode(), *self._hub.pack(cancels.REQUEST, request)])
        waited, until = set(changed), time.monotonic() + _ENGINES_S
        while waited and self._control.poll(max(0, int(1000 * (until - time.monotonic())))):
            frames = self._control.recv_multipart()
            engine = frames[0].decode(errors="replace") if frames[0] != DELIMITER else ""
            waited.discard(engine)
            if engine in busy:
                self._take(engine, read_content(frames).get("was_at") or {})

    def _take(self, engine: str, was_at: dict[str, Any]) -> None:
        if was_at:
            self._tasks[engine] = {**was_at, "heard": time.monotonic()}
        else:
            self._asked.pop(engine, None)  # it was between two tasks

    def _task(self, engine: str) -> dict[str, Any]:
        task = self._tasks.get(engine)
        if not task:
            return {}
        seconds = task["seconds"] + time.monotonic() - task["heard"]
        return {"client": task["client"], "kind": task["kind"], "seconds": round(seconds, 1)}

    def close(self) -> None:
        """Close all sockets."""
        self._hub.close()


class Watch:
    """Looks at whichever controller runs."""

    def __init__(self, security: str) -> None:
        self._file = Path(security) / "ipcontroller-client.json"
        self._work: Work | None = None

    def look(self) -> dict[str, Any]:
        """Return what there is now; that nobody has answered where no controller runs."""
        connection = load(self._file)
        if not connection or not is_open(connection["interface"].rpartition("/")[2], connection["registration"]):
            self._close()
            return {"answered": False}
        if self._work is None or self._work.connection != connection:
            self._close()
            self._work = Work(connection)
        said = self._work.look()
        if not said["answered"]:
            self._close()  # what it sent is lost: the next one begins anew
        return said

    def _close(self) -> None:
        if self._work is not None:
            self._work.close()
            self._work = None


def main(values: dict[str, Any]) -> None:
    """Tell it each `every_s` seconds; `security` is the folder of the controller's files."""
    watch, wait_s = Watch(values["security"]), 0.0
    while not _is_over(wait_s):
        before = time.process_time()
        try:
            _tell(watch.look())
        except BrokenPipeError:
            break
        wait_s = max(float(values["every_s"]), (time.process_time() - before) / _SHARE)


def _is_over(wait_s: float) -> bool:
    """Wait so long, or until who looks has gone."""
    return bool(select.select([0], [], [], wait_s)[0])


def _tell(said: dict[str, Any]) -> None:
    os.write(1, json.dumps(said).encode() + b"\n")
