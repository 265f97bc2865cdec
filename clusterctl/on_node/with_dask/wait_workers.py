"""Waits until the scheduler has all of its workers, and prints which it has."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from .page import read_page

_LOOK_S = 0.2


def main(values: dict[str, Any]) -> None:
    """Wait for the workers of the names `workers`, for `timeout_s` seconds. `file` tells of the scheduler."""
    deadline = time.monotonic() + values["timeout_s"]
    file, wanted = Path(values["file"]), set(values["workers"])
    said: dict[str, Any] = {"trouble": "", "workers": []}
    while True:
        try:
            said = {"trouble": "", "workers": read_page(file, 3.0)["workers"]}
        except OSError as exc:
            said["trouble"] = str(exc)
        if (wanted <= set(said["workers"]) and not said["trouble"]) or time.monotonic() > deadline:
            print(json.dumps(said))
            return
        threading.Event().wait(_LOOK_S)
