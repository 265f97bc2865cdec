"""Takes the engines of the numbers in its arguments off the controller's list.

It gives them nothing more then, and what they do not finish to others. Without this it would notice only after many
missed heartbeats.
"""

from __future__ import annotations

import sys
from typing import Any

from .hub_client import forget_engines


def main(values: dict[str, Any]) -> str | None:
    """Ask the controller of the file `connection`, at most `wait_s` seconds; return what failed."""
    done = forget_engines(values["connection"], sys.argv[1:], values["wait_s"])
    return None if done else "the controller does not answer"
