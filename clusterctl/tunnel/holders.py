"""The two processes of a tunnel, each known by a file that it locks: the one that forwards, and the one that minds it.

A lock ends with its process, so a number in a file is never believed without it. That the forwarding one does its work,
and does not only exist, it shows by touching a file every few seconds.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline, utc_now
from clusterctl.laptop import locks
from clusterctl.laptop.lock_files import hold, holder_pid, release
from clusterctl.laptop.processes import end_process, kill_process

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["beat", "end_holder", "hold", "holder_pid", "is_deaf", "last_beat", "release"]
FORWARDER_FILE = "tunnel.pid"
MINDER_FILE = "tunnel.minder"
BEAT_FILE = "tunnel.beat"
BEAT_S = 3.0
_DEAF_S = 20.0
_END_S = 3.0


def beat(folder: Path) -> None:
    """Show that this process does its work."""
    (folder / BEAT_FILE).touch(mode=0o600)


def last_beat(folder: Path) -> float | None:
    """Return when the forwarding process has beaten last; None for one of an older version, which does not."""
    try:
        return (folder / BEAT_FILE).stat().st_mtime
    except OSError:
        return None


def is_deaf(folder: Path) -> bool:
    """Return whether the forwarding process is frozen: it has not beaten for a while."""
    beaten = last_beat(folder)
    return beaten is not None and utc_now().timestamp() - beaten > _DEAF_S


def end_holder(path: Path) -> None:
    """End the process of this file, at once if it does not end by itself, and wait until it has."""
    pid = holder_pid(path)
    if not pid:
        return
    end_process(pid)
    if not any(holder_pid(path) is None for _ in Deadline.after(_END_S).polls(0.02)):
        kill_process(pid)  # one that is stopped hears nothing else
        with contextlib.suppress(FileNotFoundError), path.open() as file:
            locks.await_unlock(file)
