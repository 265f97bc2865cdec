"""Calls in the background with a deadline. Their results are useful, but the program does not hang for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from clusterctl.errors import ClusterctlError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.clock import Deadline

T = TypeVar("T")
THREAD = "clusterctl-background"
"""The name of the threads of these calls."""


class DeadlineCall(Generic[T]):
    """A call that starts at once in a daemon thread, which does not keep the program from exiting."""

    def __init__(self, subject: str, call: Callable[[], T], *, deadline: Deadline) -> None:
        """Start the call.

        Args:
            subject: subject of a sentence that ends with "are not known".
            call: the function to call.
            deadline: when the result is no longer waited for.
        """
        self._what = subject
        self._deadline = deadline
        self._done = threading.Event()
        self._results: list[T] = []
        self._errors: list[Exception] = []
        threading.Thread(target=self._run_call, args=(call,), name=THREAD, daemon=True).start()

    def _run_call(self, call: Callable[[], T]) -> None:
        try:
            self._results.append(call())
        except Exception as exc:  # noqa: BLE001  `result` raises it
            self._errors.append(exc)
        self._done.set()

    def result(self) -> T:
        """Wait and return the result of the call.

        Raises:
            DeadlineError: the call took too long.
            Exception: the exception of the call.
        """
        if not self._done.wait(self._deadline.left_s):
            raise DeadlineError("AWS did not answer in time", remedy="run the same command again")
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def result_or(self, default: T, add_note: Callable[[str], object]) -> T:
        """Return the result of the call. If it fails, call `add_note` with the reason and return `default`."""
        try:
            return self.result()
        except ClusterctlError as exc:
            add_note(f"{self._what} are not known: {exc.message}")
            return default
