"""The processes of a node: is one still the one we started, and the end of them all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NODE_ROOT = "CLUSTERCTL_NODE_ROOT"
"""In the environment of every process of a session: the node's folder. It finds what escaped its guardian."""
_ROUNDS = 50
_TICK_S = 0.02


def birth_mark(pid: int) -> str:
    """When this process was born, as a text that no later one under its number has; empty if it is dead.

    On Linux counted from the boot, since the wall clock may be set while a node runs.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
        return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def is_alive(pid: int, mark: str) -> bool:
    """Whether the process that had this mark still runs. A zombie does not."""
    return bool(pid and mark) and birth_mark(pid) == mark


def found(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes of these numbers that exist."""
    return [process for pid in pids if (process := _process(pid))]


def signal_all(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal; those that are gone, or not ours any more, are skipped."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def await_end(processes: Iterable[psutil.Process], *, timeout_s: float) -> list[psutil.Process]:
    """Wait until all have ended, or the time is over; returns those that have not.

    A zombie has ended: in a container there may be nobody to bury it, for which psutil's own wait would wait.
    """
    deadline = time.monotonic() + timeout_s
    alive = list(processes)
    while alive := [process for process in alive if _lives(process)]:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        _await_one(alive[0].pid, left_s)
    return alive


def strays(roots: Collection[str]) -> list[psutil.Process]:
    """Our own processes that belong to nodes with these folders, wherever they hang in the process tree."""
    return [process for process in psutil.process_iter() if _root_of(process) in roots and _lives(process)]


def sweep(roots: Collection[str], *, timeout_s: float) -> list[int]:
    """Kill all strays of these nodes; returns the numbers of those that would not die."""
    for _ in range(_ROUNDS):  # one that forks while we look is met in the next round
        left = strays(roots)
        if not left:
            return []
        signal_all(left, signal.SIGKILL)
        if alive := await_end(left, timeout_s=timeout_s):
            return [process.pid for process in alive]
    return [process.pid for process in strays(roots)]


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _root_of(process: psutil.Process) -> str:
    """The node that a process of our own belongs to; empty for all others, and for ourselves."""
    try:
        if process.pid == os.getpid() or process.uids().real != os.getuid():
            return ""
        return str(process.environ().get(NODE_ROOT, ""))
    except (psutil.Error, OSError):  # it ended, or is none of our business
        return ""


def _await_one(pid: int, timeout_s: float) -> None:
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:  # not in this container, or no descriptor left
            threading.Event().wait(min(timeout_s, _TICK_S))
            return
        try:
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            poller.poll(timeout_s * 1000)
        finally:
            os.close(descriptor)
    else:
        threading.Event().wait(min(timeout_s, _TICK_S))


def adopt_orphans() -> bool:
    """Become the parent of all orphans below this process. False where the system cannot do it."""
    return _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def die_with_parent() -> bool:
    """Be killed when the parent ends. False where the system cannot do it."""
    return _prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # a libc without it
        return False
