"""ipyparallel's heart monitor tells the hub of a new engine with the beat after the one that the engine has answered.

That is one and a half periods on average, two at most, for which a start waits.
"""

from __future__ import annotations

from typing import Any

from ipyparallel.controller.heartmonitor import HeartMonitor
from tornado.ioloop import PeriodicCallback

from ..agreed import probes
from . import guards

_HURRY_MS = 100
"""Between the pings of a young controller."""
_HURRY_FOR_S = 60
"""How long it is young."""
_EXPECTED = (
    guards.Expected(HeartMonitor, "start", ("self",), ("pong_stream", "on_recv", "handle_pong", "beat")),
    guards.Expected(HeartMonitor, "handle_pong", ("self", "msg"), ("lifetime", "responses")),
    guards.Expected(HeartMonitor, "handle_new_hearts", ("self", "hearts"), ("hearts",)),
    guards.Expected(HeartMonitor, "beat", ("self",), ("hearts", "responses", "handle_new_hearts", "ping_stream")),
)
_OWN: dict[str, Any] = {name: getattr(HeartMonitor, name, None) for name in ("handle_pong", "start")}


def apply() -> None:
    """Have heart monitors tell of new engines at once, and look for them more often at first."""
    reason = guards.difference(*_EXPECTED)
    if reason:
        guards.leave_alone(reason, "an engine registers one and a half heartbeat periods later")
        return
    HeartMonitor.handle_pong, HeartMonitor.start = handle_pong, start


def handle_pong(monitor: Any, message: list[bytes]) -> None:
    """Tell the hub of a new engine when it has answered. Return a probe to its sender: it is no heart."""
    if message[0].startswith(probes.NAME):
        monitor.pong_stream.send_multipart(message)
        return
    _OWN["handle_pong"](monitor, message)
    heart = message[0]
    if heart in monitor.responses and heart not in monitor.hearts:
        monitor.handle_new_hearts({heart})


def ping(monitor: Any) -> None:
    """Ask again what the last beat asked: to the hearts that have answered it makes no difference."""
    monitor.ping_stream.send(str(monitor.lifetime).encode("ascii"))
    monitor.ping_stream.flush()


def start(monitor: Any) -> None:
    """Look for engines more often at first, when they are on their way."""
    _OWN["start"](monitor)
    pings = PeriodicCallback(lambda: ping(monitor), _HURRY_MS)
    pings.start()
    monitor.loop.call_later(_HURRY_FOR_S, pings.stop)
