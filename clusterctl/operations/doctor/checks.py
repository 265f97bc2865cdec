"""A check as data: what it looks at, for how long at most; and what came of it."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from clusterctl.errors import ClusterctlError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
LIMIT_S = 15.0
"""How long a check, or a node, may take."""
_AT_ONCE = 128
"""Those that wait for a dead node do nothing else."""


class Outcome(str, Enum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What a check saw."""

    place: str
    """``laptop``, ``config``, ``provider``, ``network``, ``cluster``, or a node's alias."""
    item: str
    outcome: Outcome
    detail: str
    """What is so, or why it was not looked at."""
    remedy: str = ""
    """What to type; empty where all is well."""


@dataclass(frozen=True)
class Check:
    """A check that was not made yet."""

    place: str
    item: str
    waits_for: str
    """What it waits for, for who reads that it waited too long."""
    look: Callable[[], Sequence[Finding]]
    limit_s: float = LIMIT_S
    remedy: str = "see whether it answers at all, then run the same command again"
    """What to type where it did not end in time."""


def run_checks(checks: Iterable[Check]) -> list[Finding]:
    """Make checks side by side. Return their findings in the order of the checks. None holds up the others."""
    chosen = list(checks)
    with ThreadPoolExecutor(min(_AT_ONCE, len(chosen)) or 1) as pool:
        return [finding for findings in pool.map(_run_check, chosen) for finding in findings]


def _run_check(check: Check) -> Sequence[Finding]:
    try:
        return within(check.limit_s, check.waits_for, check.look, remedy=check.remedy)
    except ClusterctlError as exc:
        return [failure(check.place, check.item, exc)]


def failure(place: str, item: str, error: ClusterctlError) -> Finding:
    """Return the finding of a check that ended with an error."""
    return Finding(place, item, Outcome.FAILED, error.message, error.remedy)


@dataclass
class _Ended(Generic[T]):
    value: T | None = None
    error: BaseException | None = None


def within(limit_s: float, waits_for: str, call: Callable[[], T], *, remedy: str) -> T:
    """Return what a call returns, or raise what it raises, if it ends in time.

    A call that does not is left to itself: it may wait for what never comes. It does not keep the program alive.

    Args:
        limit_s: the longest wait.
        waits_for: what the call waits for.
        call: does the work.
        remedy: what to do if it does not end.

    Raises:
        DeadlineError: it did not end in time.
    """
    answers: queue.SimpleQueue[_Ended[T]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(_Ended(call()))
        except BaseException as exc:  # noqa: BLE001  raised again by who waits
            answers.put(_Ended(error=exc))

    threading.Thread(target=work, daemon=True, name=f"doctor: {waits_for}").start()
    try:
        ended = answers.get(timeout=limit_s)
    except queue.Empty:
        raise DeadlineError(f"no answer within {limit_s:.0f} s: waited for {waits_for}", remedy=remedy) from None
    if ended.error is not None:
        raise ended.error
    return ended.value  # type: ignore[return-value]  # there is a value where there is no error
