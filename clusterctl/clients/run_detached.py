"""Runs a detached map on the master, until all is done, it fails or it is told to end: `python -m ... FOLDER`."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import traceback
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clusterctl
from clusterctl.clients.detached import local_store, model
from clusterctl.clients.detached.records import Record, pack_record, read_places
from clusterctl.clients.here import find_cloudpickle
from clusterctl.clock import Stopwatch
from clusterctl.compute.calls.choices import Call, MapOptions
from clusterctl.compute.calls.prints import write_line
from clusterctl.compute.dispatch import Dispatcher
from clusterctl.compute.failures import NoEnginesError, pack_failure
from clusterctl.compute.payload import pickle_for_engines
from clusterctl.compute.work import Work
from clusterctl.files import read_json, write_atomically
from clusterctl.laptop.lock_files import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.compute.client import Client

_TELL_S = 1.0
"""Between what the file of the state is told, and between what is written for good."""
_FREE_S = 15.0
"""For engines to be freed of what was cancelled."""
_LOG_BYTES = 10 << 20
_AGAIN_S, _AGAIN_MOST_S = 1.0, 30.0
"""Before the controller is asked again, where it does not answer."""


class Outcomes:
    """Takes what comes out, and writes it down. See `work.Sink`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.done, size = read_places(folder / local_store.RESULTS)
        self._file = (folder / local_store.RESULTS).open("ab")
        self._file.truncate(size)
        self.places: Sequence[int] = ()
        """The item of each place of the work that runs."""
        self.on_full: Callable[[OSError], object] = lambda _: None
        self.over = threading.Event()
        self.error: BaseException | None = None
        self.reruns = 0
        self._told = Stopwatch()

    def begin(self, places: Sequence[int]) -> None:
        """Take what comes out of these items."""
        self.places, self.error = places, None
        self.over.clear()

    def take(self, place: int, value: object, error: BaseException | None) -> None:
        """Write the outcome of an item, whole; what cannot be written is not done."""
        item = self.places[place]
        try:
            content = pickle_for_engines(value, f"the value of item {item}") if error is None else pack_failure(error)
        except TypeError as exc:
            error, content = exc, pack_failure(exc)
        end = self._file.tell()
        try:
            self._file.write(pack_record(Record(item, error is not None, content)))
            self._file.flush()
        except OSError as exc:
            self._cut(end)
            self.on_full(exc)
            return
        self.done.add(item)
        try:
            if self._told.elapsed_s > _TELL_S:
                self.tell(model.RUNNING)
        except OSError as exc:
            self.on_full(exc)

    def _cut(self, size: int) -> None:
        """Forget what was written in part: more may come behind it."""
        path = self._folder / local_store.RESULTS
        with contextlib.suppress(OSError):  # what it had still to write is what does not fit
            self._file.close()
        os.truncate(path, size)
        self._file = path.open("ab")

    def tell(self, state: str, detail: str = "") -> None:
        """Write down how it is."""
        self._told = Stopwatch()
        os.fsync(self._file.fileno())
        said = {"state": state, "done": len(self.done), "detail": detail, "reruns": self.reruns}
        write_atomically(self._folder / local_store.STATE, json.dumps(said).encode())

    def close(self) -> None:
        """Write nothing more."""
        with contextlib.suppress(OSError):
            self._file.close()

    def end(self) -> None:
        """Take that all has come."""
        self.over.set()

    def fail(self, error: BaseException) -> None:
        """Take that nothing more will come, and why."""
        self.error = error
        self.over.set()


class Runner:
    """The process of one map."""

    def __init__(self, folder: Path, connect: Callable[[], Client]) -> None:
        """Read what is to be done.

        Args:
            folder: of the map.
            connect: returns a client of the cluster.
        """
        self._folder, self._connect = folder, connect
        self._order: dict[str, Any] = read_json(folder / local_store.ORDER)
        self._is_told_to_end = threading.Event()
        self._end: Callable[[BaseException], object] = lambda _: None
        self._outcomes = Outcomes(folder)

    def stop(self) -> None:
        """End soon, from any thread or a signal."""
        self._is_told_to_end.set()
        self._end(CancelledError())

    def run(self) -> str:
        """Do what is left. Return the state in which the map is then."""
        function = pickle.loads((self._folder / local_store.FUNCTION).read_bytes())
        items = pickle.loads((self._folder / local_store.ITEMS).read_bytes())
        options = MapOptions(**self._order["options"])
        call = Call(function, self._order["star"], self._order["most"], options)
        pause_s = _AGAIN_S
        self._outcomes.tell(model.RUNNING)
        while not self._is_told_to_end.is_set():
            try:
                return self._run_once(call, items)
            except _AgainError as exc:
                self._outcomes.tell(model.RUNNING, str(exc))
            self._is_told_to_end.wait(pause_s)
            pause_s = min(_AGAIN_MOST_S, 2 * pause_s)
        return self._close(model.CANCELLED)

    def _run_once(self, call: Call, items: Sequence[object]) -> str:
        places = [place for place in range(len(items)) if place not in self._outcomes.done]
        if not places:
            return self._close(model.DONE)
        try:
            client = self._connect()
        except Exception as exc:
            raise _AgainError(f"waits for the controller: {exc}") from exc
        try:
            return self._map(client, call, [items[place] for place in places], places)
        finally:
            client.close()

    def _map(self, client: Client, call: Call, items: Sequence[object], places: Sequence[int]) -> str:
        dispatcher = Dispatcher.of(client)
        self._outcomes.begin(places)
        work = Work(call, self._outcomes, items=items)
        work.prints.write = _log
        full: list[OSError] = []

        def halt(error: OSError) -> None:
            full.append(error)
            dispatcher.cancel(work, error)

        self._outcomes.on_full = halt
        self._end = lambda error: dispatcher.cancel(work, error)
        dispatcher.begin(work)
        if self._is_told_to_end.is_set():  # between the two
            self.stop()
        self._outcomes.over.wait()
        dispatcher.close_and_wait(_FREE_S)
        self._outcomes.reruns += len(work.report.rerun_items)
        error = self._outcomes.error
        if full:
            return self._close(model.HALTED, f"what comes out cannot be written: {full[0].strerror}")
        if isinstance(error, NoEnginesError):
            raise _AgainError("waits for engines")
        if isinstance(error, CancelledError):
            return self._close(model.CANCELLED)
        return self._close(model.DONE) if error is None else self.fail(error)

    def fail(self, error: BaseException) -> str:
        """Write down why nothing more comes."""
        write_atomically(self._folder / local_store.FAILURE, pack_failure(error))
        return self._close(model.FAILED, f"{type(error).__name__}: {error}"[:500])

    def _close(self, state: str, detail: str = "") -> str:
        try:
            self._outcomes.tell(state, detail)
        except OSError as exc:  # not even this fits: who looks finds no process
            sys.stderr.write(f"the state {state} cannot be written: {exc}\n")
        self._outcomes.close()
        return state


def _log(line: str, stream: str) -> None:
    """Write what a task prints to the log, as long as that is not large."""
    if os.fstat(sys.stdout.fileno()).st_size < _LOG_BYTES:
        write_line(line, stream)


class _AgainError(Exception):
    """What is to be tried again."""


def main() -> None:
    """Run the map of the folder that is named, unless another process does."""
    folder = Path(sys.argv[1])
    with hold(folder / local_store.LOCK) as is_mine:
        if not is_mine:
            return
        find_cloudpickle()
        runner = Runner(folder, clusterctl.connect)
        signal.signal(signal.SIGTERM, lambda *_: runner.stop())
        try:
            runner.run()
        except BaseException as exc:  # whatever it was: whoever waits for the map must learn of it
            sys.stderr.write(traceback.format_exc())
            runner.fail(exc)


if __name__ == "__main__":
    main()
