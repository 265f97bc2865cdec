"""Calls in the background that nobody waits for too long: what they bring is worth having, not worth hanging for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from clusterctl.errors import ClusterctlError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Errand(Generic[T]):
    """A call that begins at once. Its thread does not keep the program from ending, as a pool's would."""

    def __init__(self, what: str, call: Callable[[], T], *, until: float) -> None:
        """Begin.

        Args:
            what: what is asked for, as a sentence begins that ends with "are not known".
            call: does it.
            until: by `time.monotonic`, when to give up.
        """
        self._what = what
        self._until = until
        self._done = threading.Event()
        self._results: list[T] = []
        self._errors: list[Exception] = []
        threading.Thread(target=self._run, args=(call,), daemon=True).start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._results.append(call())
        except Exception as exc:  # noqa: BLE001  whoever asks for the result gets it
            self._errors.append(exc)
        self._done.set()

    def result(self) -> T:
        """What the call returned.

        Raises:
            DeadlineError: it took too long.
            Exception: what the call raised.
        """
        if not self._done.wait(max(0.0, self._until - time.monotonic())):
            raise DeadlineError("AWS did not answer in time", remedy="run the same command again")
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def result_or(self, otherwise: T, tell: Callable[[str], object]) -> T:
        """What the call returned; if nothing, `otherwise`, and `tell` is told why."""
        try:
            return self.result()
        except ClusterctlError as exc:
            tell(f"{self._what} are not known: {exc.message}")
            return otherwise
