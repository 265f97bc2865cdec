"""Keeps jobs in a folder of the home that the nodes share, and begins the process that runs each of them.

JOBS/ID/order.json, state.json      what was ordered; how it is
JOBS/ID/lock                        locked as long as the process lives that runs it
JOBS/ID/log, work/                  what it prints; its copy of the code, in which it runs
JOBS/ID/environment                 values of its variables, until it is over
JOBS/ID/cancel, interrupt, fetched  marks
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import environments, model
from clusterctl.clients.jobs.code import CodeStore
from clusterctl.clients.jobs.containers import find_engine
from clusterctl.clients.jobs.model import JobError, JobOrder, JobStatus, check_id, read_order
from clusterctl.clients.jobs.slots import Ticket
from clusterctl.clock import Deadline, utc_now
from clusterctl.errors import UsageError
from clusterctl.files import publish_folder, read_json, write_atomically
from clusterctl.laptop import locks
from clusterctl.laptop.lock_files import holder_pid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clusterctl.clients.jobs.code import CodeFile

ORDER, STATE, LOCK, LOG = "order.json", "state.json", "lock", "log"
ENVIRONMENT, CANCEL, INTERRUPT, FETCHED = "environment", "cancel", "interrupt", "fetched"
_PART = 4 << 20
_KEPT_S = 30 * 86400.0
"""After a job is over, and was fetched if something is to be."""
_DRAFT_S = 86400.0
_AFTER_END_S = 20.0
"""So long an interrupted job stays lost: its node may still answer, and end in a moment."""


class JobStore:
    """The jobs of a cluster, as a node sees them."""

    def __init__(self, root: Path, node: str) -> None:
        """Look at nothing yet.

        Args:
            root: clusterctl's folder on the home.
            node: the alias of this node.
        """
        self._root, self._node = root, node
        self._folder = root / model.FOLDER
        self.code = CodeStore(root / "code")

    def submit(self, order: JobOrder, files: Sequence[CodeFile], environment: bytes, total: int | None) -> JobStatus:
        """Take a job and begin it on this node. One that is known is only looked at.

        Args:
            order: the job.
            files: its code, whose contents are there.
            environment: its variables, as JSON.
            total: the cores of this node, for jobs; None for all.

        Raises:
            JobError: it cannot be kept, or this node has fewer cores, or no engine for its image.
        """
        total = total or _count_cores()
        if order.cores > total:
            message = f"{self._node} has {total} cores, fewer than {order.cores}"
            raise JobError(message, remedy="take fewer with --cores")
        order = replace(order, cores=order.cores or total)
        if order.image:
            find_engine(self._node)
        self._sweep()
        place = self._folder / check_id(order.id)
        if not place.is_dir():
            self._make(place, order, files, environment)
        self._begin(place, total)
        return self.look(order.id)

    def _make(self, place: Path, order: JobOrder, files: Sequence[CodeFile], environment: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{order.id}.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            self.code.copy_to(draft / model.WORK, files)
            write_atomically(draft / ENVIRONMENT, environment)
            content = {**order.as_json(), "created": utc_now().timestamp()}
            write_atomically(draft / ORDER, json.dumps(content).encode())
            publish_folder(draft, place)
        except OSError as exc:
            shutil.rmtree(draft, ignore_errors=True)
            raise JobError(
                f"the job cannot be kept on {self._node}: {exc.strerror}", remedy="look for room there: `df`"
            ) from exc

    def _begin(self, place: Path, total: int) -> None:
        """Begin the process, in a session of its own: it outlives who has asked for it.

        It inherits lock and ticket, so that there is no moment at which the job seems dead, or is out of the line.
        """
        state = read_json(place / STATE)
        with (place / LOCK).open("a+b") as lock:
            if state.get("state", model.WAITING) not in model.UNDER_WAY or not locks.try_lock(lock):
                return
            (place / INTERRUPT).unlink(missing_ok=True)
            tries = state.get("tries", 0)
            said = {"state": model.WAITING, "node": self._node, "tries": tries if isinstance(tries, int) else 0}
            write_atomically(place / STATE, json.dumps(said).encode())
            ticket = Ticket.take(self._root / "slots" / self._node, place.name)
            with (place / "runner.log").open("ab") as own_log:
                process = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "clusterctl.clients.run_job", str(place), self._node),
                        *(str(lock.fileno()), str(ticket.path), str(ticket.descriptor), str(total)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=own_log,
                    stderr=own_log,
                    cwd=Path.home(),
                    start_new_session=True,
                    pass_fds=(lock.fileno(), ticket.descriptor),
                )
            lock.truncate(0)
            lock.write(str(process.pid).encode())
            ticket.close()

    def look(self, job_id: str) -> JobStatus:
        """Return how a job is.

        Raises:
            JobError: there is none of this id.
        """
        place = self._place(job_id)
        said = read_json(place / ORDER)
        order, state = read_order(said), read_json(place / STATE)
        name = str(state.get("state", model.WAITING))
        if name in model.UNDER_WAY and not self._is_alive(place):
            state = read_json(place / STATE)  # it may have ended between the two
            name = str(state.get("state", model.WAITING))
            if name in model.UNDER_WAY:
                name = model.CANCELLED if (place / CANCEL).exists() else model.LOST
        tries = int(state.get("tries", 0))
        wants = "lost" in order.retry_on and tries <= order.retries
        return JobStatus(
            id=order.id,
            state=name,
            command=order.command,
            node=str(state.get("node", order.node)),
            cores=order.cores,
            created=float(said.get("created", 0.0)),
            name=order.name,
            began=state.get("began"),
            ended=state.get("ended"),
            exit=state.get("exit"),
            tries=tries,
            # One that has never begun loses nothing by it.
            can_rerun=name == model.LOST and (wants or not tries),
            detail=str(state.get("detail", "")),
            port=order.port,
            fetch=order.fetch,
            fetched=(place / FETCHED).exists(),
            begun_by=order.begun_by,
        )

    def read(self, job_id: str, offset: int, wait_s: float) -> tuple[JobStatus, bytes]:
        """Return how a job is, and some of its log from there on; wait so long for the first."""
        place = self._place(job_id)
        status, part = self.look(job_id), b""
        for _ in Deadline.after(wait_s).polls(0.01, longest_s=0.1):
            status = self.look(job_id)  # before the log: what an end has left in it is seen
            part = _read_part(place / LOG, offset)
            if part or status.state not in model.UNDER_WAY:
                break
        return status, part

    def manifest(self, job_id: str) -> dict[str, object]:
        """Return what is known of how a job was made and how it went."""
        place = self._place(job_id)
        return {**read_json(place / ORDER), **read_json(place / STATE), **self.look(job_id).as_json()}

    def resume(self, job_id: str, total: int | None) -> JobStatus:
        """Have a job that is lost run again, on this node, in the folder in which it was; not when nodes just end."""
        status = self.look(job_id)
        if status.can_rerun and not _is_fresh(self._place(job_id) / INTERRUPT):
            self._begin(self._place(job_id), total or _count_cores())
            status = self.look(job_id)
        return status

    def cancel(self, job_id: str, wait_s: float) -> JobStatus:
        """End a job, and wait so long for its end."""
        place = self._place(job_id)
        if self.look(job_id).state in model.UNDER_WAY or self.look(job_id).can_rerun:
            (place / CANCEL).touch()
        for _ in Deadline.after(wait_s).polls(0.02, longest_s=0.25):
            if self.look(job_id).state not in model.UNDER_WAY:
                break
        self._forget_environment(self.look(job_id))
        return self.look(job_id)

    def end_all(self, *, cancel: bool) -> list[JobStatus]:
        """Have all jobs end that are under way, because their nodes do. Return all jobs, and wait for nothing.

        Args:
            cancel: they do not run again. Else they are lost, and those run again that shall.
        """
        for status in self.all():
            if status.state in model.UNDER_WAY or (cancel and status.can_rerun):
                (self._folder / status.id / (CANCEL if cancel else INTERRUPT)).touch()
        return self.all()

    def _forget_environment(self, status: JobStatus) -> None:
        """Delete the values of its variables, where a job is over whose process could not do so."""
        if status.is_over:
            (self._folder / status.id / ENVIRONMENT).unlink(missing_ok=True)

    def mark_fetched(self, job_id: str) -> JobStatus:
        """Note that what is to be fetched of a job was."""
        (self._place(job_id) / FETCHED).touch()
        return self.look(job_id)

    def all(self) -> list[JobStatus]:
        """Return all jobs, the newest one last. One whose record is damaged is left out, and what is no job."""
        statuses = []
        for place in self._places():
            with contextlib.suppress(JobError, UsageError, ValueError, TypeError):
                statuses.append(self.look(place.name))
        return sorted(statuses, key=lambda status: status.created)

    def _places(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (place for place in self._folder.iterdir() if not place.name.startswith("."))

    def _place(self, job_id: str) -> Path:
        place = self._folder / check_id(job_id)
        if not (place / ORDER).exists():
            raise JobError(
                f"there is no job {job_id} on this cluster", remedy="`clusterctl jobs` lists those that it has"
            )
        return place

    @staticmethod
    def _is_alive(place: Path) -> bool:
        return holder_pid(place / LOCK) is not None

    def _sweep(self) -> None:
        """Delete what is over for long and fetched, and what killed processes have left."""
        oldest = utc_now().timestamp() - _KEPT_S
        drafts = self._folder.glob(".*") if self._folder.is_dir() else ()
        for draft in drafts:
            with contextlib.suppress(OSError):
                if draft.stat().st_mtime < utc_now().timestamp() - _DRAFT_S:
                    shutil.rmtree(draft, ignore_errors=True)
        for status in self.all():
            self._forget_environment(status)
            kept_for = status.fetch and not status.fetched
            if status.is_over and not kept_for and (status.ended or status.created) < oldest:
                shutil.rmtree(self._folder / status.id, ignore_errors=True)
        self.code.sweep()
        environments.sweep(self._root)


def _count_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _is_fresh(path: Path) -> bool:
    """Return whether a mark was made a moment ago."""
    try:
        return 0 <= utc_now().timestamp() - path.stat().st_mtime < _AFTER_END_S
    except OSError:
        return False


def _read_part(path: Path, offset: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        return file.read(_PART)
    return b""
