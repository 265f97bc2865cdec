"""The ipyparallel controller: who is registered there, and the end of the work that it has given out.

All of it is asked on the master: without a tunnel or ipyparallel on the laptop.
"""

from __future__ import annotations

from clusterctl.hub.cancelling import Cancelled, EngineTask, cancel_work
from clusterctl.hub.load import Demand, EngineLoad, Load, Waiting, ask_load, find_waiting
from clusterctl.hub.questions import (
    BUSY,
    HubAnswer,
    ask,
    engine_ids,
    keep_engine_ids,
    lowest_gap,
    profile,
    registered,
    wait,
)

__all__ = [
    "BUSY",
    "Cancelled",
    "Demand",
    "EngineLoad",
    "EngineTask",
    "HubAnswer",
    "Load",
    "Waiting",
    "ask",
    "ask_load",
    "cancel_work",
    "engine_ids",
    "find_waiting",
    "keep_engine_ids",
    "lowest_gap",
    "profile",
    "registered",
    "wait",
]
