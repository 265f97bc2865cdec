"""A connection that a network has swallowed is noticed and made anew, by engines and by the controller.

Left alone, who only listens waits for ever on a connection that the other side has given up; who sends tries again at
ever longer intervals, for a quarter of an hour, and two minutes after the network is back.
"""

from __future__ import annotations

import contextlib
from typing import Any

import zmq

_OWN: Any = zmq.Context.socket
_OPTIONS = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
    zmq.TCP_MAXRT: 60_000,
    zmq.CONNECT_TIMEOUT: 10_000,
}
"""In seconds, but for the last two, which are milliseconds."""


def apply() -> None:
    """Have all sockets of this process do so."""
    zmq.Context.socket = socket  # type: ignore[assignment, method-assign]


def socket(context: Any, *args: Any, **about: Any) -> Any:
    """Make a socket, with its options where the system has them."""
    made = _OWN(context, *args, **about)
    for option, value in _OPTIONS.items():
        with contextlib.suppress(zmq.ZMQError):
            made.setsockopt(option, value)
    return made
