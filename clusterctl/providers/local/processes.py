"""The processes of a node: how to recognise them, and how to end them all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from clusterctl.clock import Deadline, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

NODE_ROOT = "CLUSTERCTL_NODE_ROOT"
"""Variable with the node's folder, set in every process of a session. It finds processes that left their guardian."""
SERVER_MODULE = "clusterctl.providers.local.server"
"""What the launcher, the guardians and the servers run. Their further arguments are ``SOCKET,LAUNCH=FOLDER``."""
_ROUNDS = 50
_POLL_S = 0.02


def process_identity(pid: int) -> str:
    """Return a text that identifies a process and no later one with the same id; empty if it has ended.

    It holds the start time. On Linux this counts from the boot, as the wall clock may be set while a node runs.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        fields = stat.rpartition(")")[2].split()  # the process name before it may hold spaces
        return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def is_alive(pid: int, mark: str) -> bool:
    """Return whether the process with this id and identity still runs. A zombie does not run."""
    return bool(pid and mark) and process_identity(pid) == mark


def find_processes(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the processes with these ids that exist."""
    return [process for pid in pids if (process := _find_process(pid))]


def signal_all(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to processes. Those that have ended, or belong to another user, are skipped."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def await_end(processes: Iterable[psutil.Process], *, timeout_s: float) -> list[psutil.Process]:
    """Wait until all processes have ended, or the time is over. Return those that still run.

    A zombie counts as ended: a container may lack a parent that reaps it, and psutil's own wait would wait for that.
    """
    deadline = Deadline.after(timeout_s)
    alive = list(processes)
    while alive := [process for process in alive if _is_running(process)]:
        if deadline.is_over:
            break
        _await_one(alive[0].pid, deadline.left_s)
    return alive


def find_node_processes(roots: Collection[str]) -> list[psutil.Process]:
    """Return this user's processes that belong to nodes with these folders, whatever their parent is."""
    return _find_where(lambda process_roots: process_roots <= set(roots))


def find_cluster_processes(cluster: str) -> list[psutil.Process]:
    """Return this user's processes that belong to any node below a cluster's folder, whether that is there or not."""
    return _find_where(lambda process_roots: all(root.startswith(f"{cluster}{os.sep}") for root in process_roots))


def roots_of(process: psutil.Process) -> frozenset[str]:
    """Return the folder of the node that a process belongs to; empty for other users' processes and for this one.

    A process of a session has it in its environment. The node's server and its guardian, which are older than that,
    have it as their current folder, and among the words of their command line. Those of an earlier version have it
    among these words only, with the folders of all nodes that were started together.
    """
    try:
        if process.pid == os.getpid() or process.uids().real != os.getuid():
            return frozenset()
        if root := str(process.environ().get(NODE_ROOT, "")):
            return frozenset({root})
        words = process.cmdline()
        if SERVER_MODULE not in words:
            return frozenset()
        folders = frozenset(word.partition("=")[2] for word in words if "=" in word)
        own = process.cwd()
        return frozenset({own}) if own in folders else folders
    except (psutil.Error, OSError):  # it has ended, or access is denied
        return frozenset()


def _find_where(is_meant: Callable[[frozenset[str]], bool]) -> list[psutil.Process]:
    candidates = ((process, roots_of(process)) for process in psutil.process_iter())
    return [process for process, roots in candidates if roots and is_meant(roots) and _is_running(process)]


def kill_node_processes(roots: Collection[str], *, timeout_s: float) -> list[int]:
    """Kill all processes of these nodes. Return the ids of those that did not end."""
    return _kill_all(lambda: find_node_processes(roots), timeout_s=timeout_s)


def kill_cluster_processes(cluster: str, *, timeout_s: float) -> list[int]:
    """Kill all processes of nodes below a cluster's folder. Return the ids of those that did not end."""
    return _kill_all(lambda: find_cluster_processes(cluster), timeout_s=timeout_s)


def _kill_all(find: Callable[[], list[psutil.Process]], *, timeout_s: float) -> list[int]:
    for _ in range(_ROUNDS):  # a process that forks meanwhile is killed in the next round
        left = find()
        if not left:
            return []
        signal_all(left, signal.SIGKILL)
        if alive := await_end(left, timeout_s=timeout_s):
            return [process.pid for process in alive]
    return [process.pid for process in find()]


def _find_process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _await_one(pid: int, timeout_s: float) -> None:
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:  # not supported in this container, or no descriptor left
            pause(min(timeout_s, _POLL_S))
            return
        try:
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            poller.poll(timeout_s * 1000)
        finally:
            os.close(descriptor)
    else:
        pause(min(timeout_s, _POLL_S))


def adopt_orphans() -> bool:
    """Become the parent of all orphaned descendants. Return False if the system cannot do it."""
    return _call_prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def die_with_parent() -> bool:
    """Have the kernel kill this process when its parent ends. Return False if the system cannot do it."""
    return _call_prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def _call_prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # a libc without it
        return False
