"""Power of nodes: one launcher starts many nodes, and one deadline ends many."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

import clusterctl
from clusterctl.clock import Deadline
from clusterctl.environment.variables import own_process_environment
from clusterctl.providers.local.nodes import is_launching, read_record, read_running
from clusterctl.providers.local.processes import (
    SERVER_MODULE,
    await_end,
    find_processes,
    is_alive,
    kill_node_processes,
    signal_all,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Mapping

_LAUNCH_S = 20.0
_POLL_S = 0.02
_DOWN_S = 8.0
"""Seconds: more than a guardian needs for its grace period and its rounds of SIGKILL."""
_KILL_S = 2.0


def power_on(starts: Mapping[Path, tuple[socket.socket, IO[bytes]]], environ: Mapping[str, str]) -> None:
    """Start nodes, given as folder to listening socket and `hold_launch`. They outlive this process and share no pipe.

    Raises:
        OSError: the launcher cannot be started.
    """
    descriptors = {folder: (listener.fileno(), launch.fileno()) for folder, (listener, launch) in starts.items()}
    with open(next(iter(starts)) / "logs" / "node.log", "ab") as log:  # noqa: PTH123  # binary append
        launcher = subprocess.Popen(
            [sys.executable, "-m", SERVER_MODULE]
            + [f"{listener},{launch}={folder}" for folder, (listener, launch) in descriptors.items()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            env=_launcher_environment(environ),
            pass_fds=[number for numbers in descriptors.values() for number in numbers],
            start_new_session=True,
        )
    try:
        # The launcher ends when its nodes are up. A thread reaps it, so that this function need not wait.
        threading.Thread(target=launcher.wait, name="local-launcher", daemon=True).start()
    except BaseException:
        launcher.wait(_LAUNCH_S)  # nodes that are half started cannot be powered off
        raise


def _launcher_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment, with a PYTHONPATH to this package if it runs from a source tree."""
    own = own_process_environment(environ)
    parent = Path(clusterctl.__file__).parents[1]
    if parent.name in ("site-packages", "dist-packages"):
        return own
    paths = [path for path in (environ.get("PYTHONPATH"), str(parent)) if path]
    return {**own, "PYTHONPATH": os.pathsep.join(paths)}


def power_off(folders: Collection[Path], *, gently: bool) -> list[int]:
    """End all processes of these nodes in parallel. Return the ids of processes that did not end.

    Args:
        folders: the folders of the nodes.
        gently: send SIGTERM first. Not needed for a node that is deleted: its processes have nothing to save.
    """
    records = {folder: record for folder in folders if (record := read_record(folder))}
    # A node that is starting cannot be powered off yet.
    for _ in Deadline.after(_LAUNCH_S).polls(_POLL_S):
        if not any(is_launching(folder) for folder in folders):
            break
    pids: set[int] = set()
    servers: set[int] = set()
    for folder, record in records.items():
        if running := read_running(folder, record.boot):
            # The guardian first: its end kills the server, but not the processes that it would have ended.
            both = ((running.guardian, running.guardian_mark), (running.pid, running.mark))
            pids.update(pid for pid, mark in both if is_alive(pid, mark))
            servers.add(running.pid)
    nodes = find_processes(pids)
    if gently:
        signal_all(nodes, signal.SIGTERM)
    else:
        # A killed server tells the guardian to skip the grace period.
        signal_all(find_processes(pids & servers), signal.SIGKILL)
    alive = await_end(nodes, timeout_s=_DOWN_S)
    signal_all(alive, signal.SIGKILL)
    stuck = [process.pid for process in await_end(alive, timeout_s=_KILL_S)]
    return stuck + kill_node_processes({str(folder) for folder in folders}, timeout_s=_KILL_S)
