"""Tells the controller that the engines of the numbers in its arguments shall be given nothing new: their node ends.

What they are at, they may bring to its end. With `--over` first they are given work again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .agreed import drains
from .hub_client import Hub

_OVER = "--over"


def main(values: dict[str, Any]) -> str | None:
    """Tell the controller of the file `connection`, and wait for its answer `wait_s` seconds; return what failed."""
    words = sys.argv[1:]
    hub = Hub(json.loads(Path(values["connection"]).read_text(encoding="utf-8")))
    try:
        numbers = [int(word) for word in words if word != _OVER]
        hub.send(drains.REQUEST, {"engines": numbers, "over": _OVER in words})
        if not hub.socket.poll(int(1000 * values["wait_s"])):
            return "the controller does not answer"
        known = hub.receive().get("status") == "ok"
        return None if known else "the controller is of an older version: engines are given work until they are stopped"
    finally:
        hub.close()
