"""A thread that does what happens, one thing after the other."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.compute.failures import refuse_in_fork

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Rounds:
    """What such a thread does, besides events."""

    pause_s: Callable[[], float]
    """How long it may wait for the next event."""
    go: Callable[[], object]
    """Does what is due, whatever has happened."""
    is_over: Callable[[], bool]
    """Whether nothing more will happen."""
    fail: Callable[[BaseException], object]
    """Takes what went wrong: nobody may wait for a thread that has ended."""
    end: Callable[[], object]
    """Does what is to be done at last."""


class EventThread:
    """Events come from any thread, and are handled in this one, but for those that `do_or_put` does."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds
        self._events: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        """Held by whoever handles events."""
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def put(self, event: Callable[[], object]) -> None:
        """Have this done."""
        self._events.put(event)

    def do_or_put(self, event: Callable[[], object]) -> None:
        """Do this in the calling thread, if no event is being handled or waits; else have it done.

        Whoever waits for what it brings then does not wait for one thread more to wake.
        """
        if self._thread is None or not self._events.empty() or not self._turn.acquire(blocking=False):
            self.put(event)
            return
        try:
            _HERE.handles_events = True
            self._try(event)
        finally:
            _HERE.handles_events = False
            self._turn.release()

    def start(self) -> None:
        """Begin, if it does not run.

        Raises:
            NoEnginesError: this is a copy of the process that has the thread.
        """
        refuse_in_fork(self._process)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clusterctl-dispatch", daemon=True)
                self._thread.start()

    def join(self, most_s: float) -> None:
        """Wait until it has ended, or for so many seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(most_s)

    @property
    def is_copy(self) -> bool:
        """Whether this is a copy of the process that has the thread."""
        return os.getpid() != self._process

    def do(self, act: Callable[[], object], most_s: float) -> None:
        """Have this done before what comes later, and return when it is done, or after so many seconds."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            act()
            return
        done = threading.Event()
        self.put(act)
        self.put(done.set)
        done.wait(most_s)

    def _run(self) -> None:
        _HERE.handles_events = True
        while not self._rounds.is_over():
            self._try(self._handle_events)
            with self._turn:
                self._try(self._rounds.go)
        with self._lock:
            self._thread = None
        while not self._events.empty():
            self._try(self._events.get_nowait())
        self._rounds.end()

    def _handle_events(self) -> None:
        """Wait for an event, and handle all that are there."""
        with suppress(queue.Empty):
            event = self._events.get(timeout=self._rounds.pause_s())
            while True:
                with self._turn:
                    event()
                event = self._events.get_nowait()

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as exc:  # whatever it was: others wait for this thread
            self._rounds.fail(exc)


_HERE = threading.local()


def refuse_in_event_thread() -> None:
    """Refuse to wait, in a thread that handles events, for what events bring.

    Raises:
        RuntimeError: it would wait for itself.
    """
    if getattr(_HERE, "handles_events", False):
        raise RuntimeError(
            "a callback cannot wait for a map: its own thread is what takes results. Begin it there by map_async, or"
            " wait for it in another thread"
        )
