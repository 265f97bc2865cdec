"""Runs one job on this node: waits for its cores, and sees to its processes until they have ended.

`python -m clusterctl.clients.run_job FOLDER NODE LOCK TICKET DESCRIPTOR CORES`, where LOCK and DESCRIPTOR are the
numbers of open files that it inherits, and that are locked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import containers, job_store, model, processes
from clusterctl.clients.jobs.environments import EnvironmentBuildError, ensure_environment
from clusterctl.clients.jobs.model import read_order
from clusterctl.clients.jobs.slots import Ticket
from clusterctl.clock import Deadline, pause, utc_now
from clusterctl.files import read_json, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NOT_FOUND, _NOT_A_PROGRAM, _TIMED_OUT = 127, 126, 124
"""The statuses that shells and `timeout` have for it."""
_TOLD_S = 0.3
"""A system that ends tells all processes at once: whose job has heard it first hears it within this time."""
_WRITE_S = 600.0
"""For room on a full disk, since an end that is not written looks like a loss."""


class Runner:
    """The process of one job."""

    def __init__(self, folder: Path, node: str) -> None:
        self._folder, self._node = folder, node
        self._order = read_order(read_json(folder / job_store.ORDER))
        self._state = read_json(folder / job_store.STATE)
        self._node_ends = False
        self._engine: containers.Engine | None = None
        self._is_left = False

    def stop(self) -> None:
        """End soon, from a signal: this node ends, or what it has of its cluster."""
        self._node_ends = True

    def _is_told_to_end(self) -> bool:
        return self._is_cancelled() or self._is_interrupted()

    def _is_cancelled(self) -> bool:
        return (self._folder / job_store.CANCEL).exists()

    def _is_interrupted(self) -> bool:
        """Return whether the job ends because its node does. Then it is lost as with the node, only after a grace."""
        return self._node_ends or (self._folder / job_store.INTERRUPT).exists()

    def run(self, ticket: Ticket, total: int) -> None:
        """Run the job to its end, again where it is to be."""
        self._engine = containers.find_engine(self._node) if self._order.image else None
        held = ticket.wait(self._order.cores, total, self._is_told_to_end)
        if held is None:
            if self._is_cancelled():
                self._tell(model.CANCELLED, ended=_now())
            else:
                self._leave(model.WAITING)
        else:
            if self._state.get("tries"):  # what an earlier try has left, whose keeper was killed too
                processes.end_all(self._order.id, 0, grace_s=0)
            while not self._run_once():
                continue

    def _run_once(self) -> bool:
        """Return whether that was the last time."""
        tries = int(self._state.get("tries", 0)) + 1
        keeper = processes.Keeper(self._order.id, self._remove_container)
        with (self._folder / job_store.LOG).open("ab") as log:
            try:
                if tries > 1:
                    log.write(f"--- try {tries} of {self._order.retries + 1}, on {self._node}\n".encode())
                    log.flush()
                self._tell(model.RUNNING, tries=tries, began=_now(), ended=None, exit=None, detail="")
                self._remove_container()  # what a try has left whose keeper was killed too
                state, status, detail = self._attend(log, keeper)
            finally:
                keeper.end()
                self._remove_container()
        if state == model.LOST:
            self._leave(model.RUNNING)
            return True
        import resource  # late: a laptop with Windows has none

        peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        reason = model.REASONS.get(state)
        if reason in self._order.retry_on and tries <= self._order.retries and not self._is_told_to_end():
            self._state |= {"exit": status, "detail": detail}
            return False
        self._tell(state, ended=_now(), exit=status, detail=detail, peak_kb=peak_kb)
        return True

    def _attend(self, log: IO[bytes], keeper: processes.Keeper) -> tuple[str, int | None, str]:
        """Run the command. Return the state in which the job is then, its status, and what there is to say."""
        order = self._order
        folder = self._folder / model.WORK
        try:
            if self._engine:
                command, environment = self._contain(self._engine)
            else:
                command = order.command
                own = ensure_environment(
                    self._folder.parents[1], folder, command, lambda step: self._build(step, log, keeper)
                )
                environment = self._environment(own or Path(sys.prefix))
            process = processes.start(command, folder=folder, environment=environment, log=log)
        except EnvironmentBuildError as exc:
            if self._is_told_to_end():
                return (model.CANCELLED if self._is_cancelled() else model.LOST), _NOT_A_PROGRAM, ""
            return model.FAILED, _NOT_A_PROGRAM, str(exc)
        except OSError as exc:
            missing = isinstance(exc, FileNotFoundError)
            text = f"{order.command[0]}: {exc.strerror}"
            if missing and (folder / order.command[0]).is_file():
                text = (
                    f"{order.command[0]}: no program; it is a file of the folder: `{_suggest_call(order.command[0])}`"
                )
            log.write(f"{text}\n".encode())
            return model.FAILED, _NOT_FOUND if missing else _NOT_A_PROGRAM, text
        keeper.tell_group(process.pid)
        deadline = Deadline.after(order.max_time_s) if order.max_time_s else None
        has_ended = processes.await_end(process, lambda: self._is_told_to_end() or bool(deadline and deadline.is_over))
        timed_out = not has_ended and not self._is_told_to_end()
        grace_s = 0 if has_ended else order.grace_s
        processes.end_all(order.id, process.pid, grace_s=grace_s, but=(keeper.pid,), reap=process.poll)
        code = process.wait()
        status = code if code >= 0 else 128 - code
        if timed_out:
            return model.TIMED_OUT, _TIMED_OUT, f"it took longer than {order.max_time_s:g} s"
        if code == -signal.SIGTERM and has_ended:
            pause(_TOLD_S)
        if not self._is_cancelled() and self._is_interrupted() and not (has_ended and code == 0):
            return model.LOST, None, ""
        if not has_ended:
            return model.CANCELLED, status, ""
        detail = f"ended by {signal.Signals(-code).name}" if code < 0 else ""
        if self._engine and code == containers.COULD_NOT_RUN:
            detail = f"no container of {order.image} could be run"
        return (model.DONE if code == 0 else model.FAILED), status, detail

    def _build(self, step: Sequence[str], log: IO[bytes], keeper: processes.Keeper) -> bool:
        """Run a command that builds the environment. Return whether it went well."""
        folder, environment = self._folder / model.WORK, self._environment(Path(sys.prefix))
        process = processes.start(step, folder=folder, environment=environment, log=log)
        keeper.tell_group(process.pid)
        if not processes.await_end(process, self._is_told_to_end):
            processes.end_all(self._order.id, process.pid, grace_s=0, but=(keeper.pid,), reap=process.poll)
        return process.wait() == 0

    def _remove_container(self) -> None:
        if self._engine:
            containers.remove(self._engine.removal(self._order.id))

    def _contain(self, engine: containers.Engine) -> tuple[Sequence[str], dict[str, str]]:
        """Return the command that runs the job's in a container, and the variables of both."""
        own = {**self._threads(), **self._own_variables(), "HOME": str(Path.home())}
        return engine.command(self._order, self._folder / model.WORK, own), {**os.environ, **own}

    def _environment(self, prefix: Path) -> dict[str, str]:
        """Return the variables of the job, with the programs of an environment before all others."""
        path = f"{prefix / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**self._threads(), **os.environ, "PATH": path, "VIRTUAL_ENV": str(prefix), **self._own_variables()}

    def _threads(self) -> dict[str, str]:
        return dict.fromkeys(_THREADS, str(self._order.cores))

    def _own_variables(self) -> dict[str, str]:
        """Return the job's own variables, and what it is known by."""
        given = {str(name): str(value) for name, value in read_json(self._folder / job_store.ENVIRONMENT).items()}
        return {processes.MARK: self._order.id, "PYTHONUNBUFFERED": "1", **given}

    def forget_environment(self) -> None:
        """Delete the values of the job's variables, unless it is lost: then it may need them again."""
        if not self._is_left:
            (self._folder / job_store.ENVIRONMENT).unlink(missing_ok=True)

    def _leave(self, state: str) -> None:
        """Leave the job as one is left whose node is gone, and say why. It is lost once this process has ended."""
        self._is_left = True
        with contextlib.suppress(OSError):
            (self._folder / job_store.INTERRUPT).touch()
        self._tell(state, detail="its node was to end")

    def fail(self, detail: str) -> None:
        """Write down that it cannot be run."""
        self._tell(model.FAILED, ended=_now(), detail=detail)

    def _tell(self, state: str, **more: object) -> None:
        """Write down how it is. Wait for room, where there is none."""
        self._state |= {"state": state, "node": self._node, **more}
        content = json.dumps(self._state).encode()
        for _ in Deadline.after(_WRITE_S).polls(0.1, longest_s=5.0):
            with contextlib.suppress(OSError):
                write_atomically(self._folder / job_store.STATE, content)
                return


def _suggest_call(file: str) -> str:
    """Return how a file of the folder is run that was named as if it were a program."""
    return f"python {file}" if file.endswith(".py") else f"./{file}"


def _now() -> float:
    return utc_now().timestamp()


def main() -> None:
    """Run the job of the folder that is named."""
    folder, node, _, ticket, descriptor, total = sys.argv[1:]
    runner = Runner(Path(folder), node)
    signal.signal(signal.SIGTERM, lambda *_: runner.stop())
    try:
        runner.run(Ticket.inherit(Path(ticket), int(descriptor)), int(total))
    except Exception as exc:  # whatever it was: whoever waits for the job must learn of it
        sys.stderr.write(traceback.format_exc())
        runner.fail(f"{type(exc).__name__}: {exc}"[:500])
    runner.forget_environment()


if __name__ == "__main__":
    main()
