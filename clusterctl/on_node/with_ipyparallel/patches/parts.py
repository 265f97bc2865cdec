"""The controller's processes end together: it forks eight, and ipyparallel never looks whether they live.

Left alone, one that ends is missed by nobody, and calls that need it wait for ever; and when the first one is killed,
the others keep its ports, so that no next one can start.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from ipyparallel.controller import app

from ..agreed import probes
from . import guards

_PR_SET_PDEATHSIG = 1
_NAMES = {
    "IOPubScheduler": probes.IOPUB,
    "DirectScheduler": probes.DIRECT,
    "ControlScheduler": probes.CONTROL,
    "TaskScheduler": probes.TASK,
}
_LEAF = re.compile(r"BroadcastScheduler\(depth=[1-9]\d*, id=([01]+)\)")
_EXPECTED = (
    guards.Expected(app.IPController, "init_signal", ("self",), ("signal", "handle_signal")),
    guards.Expected(app.IPController, "handle_signal", ("self", "sig", "frame"), ("terminate_children", "loop")),
    guards.Expected(app.IPController, "start", ("self",), ("children", "heartmonitor_process", "init_signal")),
)
_OWN: dict[str, Any] = {name: getattr(app.IPController, name, None) for name in ("init_signal", "handle_signal")}


def apply() -> None:
    """Have the controller end with each of its processes, and each of them with it; end it where that cannot be."""
    reason = guards.difference(*_EXPECTED)
    if reason:
        guards.refuse(reason, "a part of its controller could end unnoticed, so it is not started")
    app.IPController.init_signal, app.IPController.handle_signal = init_signal, handle_signal
    if sys.platform == "linux":
        os.register_at_fork(after_in_child=_end_with_parent)


def _end_with_parent() -> None:
    """Be killed when the process that made this one ends, however it ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def init_signal(controller: Any) -> None:
    """Watch the processes, which have just been started."""
    _OWN["init_signal"](controller)
    controller.is_ending = False
    parts = find_parts(controller)
    for name, process in parts.items():
        controller.loop.add_handler(process.sentinel, _Mourner(controller, name, process), controller.loop.READ)
    pids = {name: process.pid for name, process in parts.items()}
    write_parts(Path(controller.profile_dir.pid_dir), {probes.HUB: os.getpid(), **pids})


def handle_signal(controller: Any, number: int, frame: Any) -> None:
    """End, as ipyparallel does; parts that end now were told to."""
    controller.is_ending = True
    _OWN["handle_signal"](controller, number, frame)


def find_parts(controller: Any) -> dict[str, Any]:
    """Return the controller's processes by the names of its parts."""
    parts = {probes.HEART: controller.heartmonitor_process}
    for child in controller.children:
        parts[_part_name(child.name)] = getattr(child, "launcher", child)
    return parts


def _part_name(own_name: str) -> str:
    leaf = _LEAF.fullmatch(own_name)
    if leaf:
        return f"{probes.BROADCAST} {int(leaf[1], 2)}"
    return _NAMES.get(own_name, probes.BROADCAST if "Broadcast" in own_name else own_name)


def write_parts(folder: Path, pids: dict[str, int]) -> None:
    """Write down which process is which part, whole or not at all."""
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f"{probes.PARTS_FILE}.new"
    draft.write_text(json.dumps({"parts": pids}), encoding="utf-8")
    draft.replace(folder / probes.PARTS_FILE)


class _Mourner:
    """Ends the controller when one of its processes has ended."""

    def __init__(self, controller: Any, name: str, process: Any) -> None:
        self._controller, self._name, self._process = controller, name, process

    def __call__(self, *_: object) -> None:
        self._controller.loop.remove_handler(self._process.sentinel)
        if self._controller.is_ending:
            return
        self._process.join(1)
        how = self._process.exitcode
        text = f"clusterctl: the {self._name} (pid {self._process.pid}) ended ({how}): the controller starts anew"
        print(text, file=sys.stderr, flush=True)
        os._exit(70)  # EX_SOFTWARE; what watches over it starts it again, and the others are killed with it
