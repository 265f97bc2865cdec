"""Tells the load of this machine, a line of JSON each time, until who looks has gone."""

from __future__ import annotations

import os
import time
from typing import Any

from . import gpus, load, looking

_FIRST_S = 0.5
"""Until the first line: how busy processors are shows over a time."""


def main(values: dict[str, Any]) -> None:
    """Tell it each `every_s` seconds; `disks` are the paths of interest."""
    os.nice(10)
    every_s = float(values["every_s"])
    processors, disks, cards = load.Processors(), load.Disks(values["disks"]), gpus.Gpus(every_s)
    wait_s = _FIRST_S
    try:
        while not looking.is_over(wait_s):
            before = time.process_time()
            looking.tell(
                {
                    "cpu": processors.busy(),
                    "cores": processors.cores,
                    "load": os.getloadavg()[0],
                    "memory": load.read_memory(),
                    "disks": disks.read(),
                    "gpus": cards.read(),
                }
            )
            wait_s = looking.pause_s(every_s, time.process_time() - before)
    except BrokenPipeError:
        looking.listen_no_more()
    finally:
        cards.close()
