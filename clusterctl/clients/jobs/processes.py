"""The processes of a job: begun together, and ended together, also when the process that has begun them is killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO

MARK = "CLUSTERCTL_JOB"
"""The variable by which processes of a job are known, wherever they went."""
_LOOK_S = 0.2
_GONE_S = 5.0
"""For processes that were killed to be gone."""


class Keeper:
    """A process beside this one that ends a job's processes when this one is gone. Until then it does nothing.

    It inherits what this one holds, locks too: so a job whose processes still live is not taken for one that is over.
    """

    def __init__(self, job_id: str, cleanup: Callable[[], object] = lambda: None) -> None:
        """Begin it.

        Args:
            job_id: the job.
            cleanup: what it does besides, where it ends the job's processes.
        """
        reader, self._writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._writer)
            self._keep(reader, job_id, cleanup)
        os.close(reader)

    def _keep(self, reader: int, job_id: str, cleanup: Callable[[], object]) -> None:
        """Wait in the other process, and end it."""
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            told = b""
            while part := os.read(reader, 64):
                told += part
            if not told.endswith(b"over\n"):
                group = int(told.split()[-1]) if told.split() else 0
                end_all(job_id, group, grace_s=0, but=(os.getpid(),))
                cleanup()
        finally:
            os._exit(0)

    def tell_group(self, group: int) -> None:
        """Tell it the process group of the job."""
        os.write(self._writer, b"%d\n" % group)

    def end(self) -> None:
        """Tell it that all is well, and wait for its end."""
        with contextlib.suppress(OSError):  # it was killed
            os.write(self._writer, b"over\n")
        os.close(self._writer)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def start(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a command of a job, in a process group of its own.

    Raises:
        OSError: there is no such program.
    """
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def await_end(process: subprocess.Popen[bytes], is_told_to_end: Callable[[], bool]) -> bool:
    """Wait until a process has ended, or until it is to end. Return whether it has ended."""
    watched = _open_process(process.pid)
    try:
        while process.poll() is None:
            if is_told_to_end():
                return False
            if watched is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
            else:
                select.select([watched], [], [], _LOOK_S)
        return True
    finally:
        if watched is not None:
            os.close(watched)


def _open_process(pid: int) -> int | None:
    """Return what can be waited for; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def end_all(
    job_id: str, group: int, *, grace_s: float, but: Sequence[int] = (), reap: Callable[[], object] = lambda: None
) -> None:
    """End the processes of a job: by SIGTERM, and by SIGKILL those that are still there after the grace.

    Args:
        job_id: the job.
        group: its process group; 0 if it has none yet.
        grace_s: how long they may take; 0 to kill them at once.
        but: processes that live on.
        reap: takes the status of what has ended, since it counts as alive until then.
    """
    spared = {os.getpid(), *but}
    if grace_s and _signal_all(job_id, group, signal.SIGTERM, spared):
        for _ in Deadline.after(grace_s).polls(0.02, longest_s=_LOOK_S):
            reap()
            if not _lives(group) and not any(True for _ in _marked(job_id, spared)):
                return
    for _ in Deadline.after(_GONE_S).polls(0.02, longest_s=_LOOK_S):
        reap()
        if not _signal_all(job_id, group, signal.SIGKILL, spared):
            return


def _signal_all(job_id: str, group: int, number: signal.Signals, spared: set[int]) -> bool:
    """Send a signal to what is there of a job. Return whether something was there."""
    present = False
    if _lives(group):
        present = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for pid in _marked(job_id, spared):
        present = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return present


def _lives(group: int) -> bool:
    """Return whether a process group has a process."""
    if not group:
        return False
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _marked(job_id: str, spared: set[int]) -> Iterator[int]:
    """Yield the processes that have the mark of a job, where the system shows it."""
    mark = f"{MARK}={job_id}\0".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid not in spared:
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    yield pid
