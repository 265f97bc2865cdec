"""A thread that does what happens, one thing after the other."""

from __future__ import annotations

import atexit
import queue
import threading
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future
    from typing import Any

_LEAVE_S = 1.0


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
    """Ends all that is under way, where the client is closed or will be."""
    unheard: Callable[[], Collection[Future[Any]]]
    """Returns what others are still to hear, each with its answer."""


class EventThread:
    """Events come from any thread, and are handled in this one."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds
        self._events: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, event: Callable[[], object]) -> None:
        """Have this done."""
        self._events.put(event)

    def start(self) -> None:
        """Begin, if it does not run."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clusterctl-dispatch", daemon=True)
                self._thread.start()
                atexit.register(self.leave)

    def leave(self) -> None:
        """End all that is under way, and return when others have heard of it, or after a second.

        For who closes the client, or ends the program: a thread of that says nothing more.
        """
        thread = self._thread
        if thread is None or thread is threading.current_thread() or not thread.is_alive():  # in a fork it is not
            return
        told: queue.SimpleQueue[Collection[Future[Any]]] = queue.SimpleQueue()
        self.put(self._rounds.end)
        self.put(lambda: told.put(self._rounds.unheard()))
        with suppress(queue.Empty):
            wait(told.get(timeout=_LEAVE_S), timeout=_LEAVE_S)

    def join(self, most_s: float) -> None:
        """Wait until it has ended, or for so many seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(most_s)

    def _run(self) -> None:
        while not self._rounds.is_over():
            try:
                self._handle_events()
                self._rounds.go()
            except Exception as exc:  # whatever it was
                self._rounds.fail(exc)
        with self._lock:
            self._thread = None
            atexit.unregister(self.leave)
        with suppress(queue.Empty):
            while True:
                self._events.get_nowait()()
        self._rounds.end()

    def _handle_events(self) -> None:
        """Wait for an event, and handle all that are there."""
        with suppress(queue.Empty):
            self._events.get(timeout=self._rounds.pause_s())()
            while True:
                self._events.get_nowait()()
