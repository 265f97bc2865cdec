"""How programs tell something again and again to who looks, and end with the connection."""

from __future__ import annotations

import json
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARE = 0.005
"""Of a core, at most: a round that takes long is followed by a longer pause."""


def tell(said: Mapping[str, object]) -> None:
    """Print a line of JSON.

    Raises:
        BrokenPipeError: nobody listens any more.
    """
    os.write(1, json.dumps(said).encode() + b"\n")


def is_over(wait_s: float) -> bool:
    """Wait so long; return at once that it is over when who looks has gone: the input, which is empty, ends then."""
    return bool(select.select([0], [], [], max(0.0, wait_s))[0])


def pause_s(every_s: float, used_s: float) -> float:
    """Return how long to wait after a round that has used so many seconds of a processor."""
    return max(every_s, used_s / _SHARE)


def listen_no_more() -> None:
    """Let Python end without a complaint about an output that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
