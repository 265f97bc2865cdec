"""How long the laptop's own steps take."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterctl.model import Step

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Runs from when it is made on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.steps: list[Step] = []

    def now(self) -> float:
        """Seconds since it was made, without those that it stood still."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        began = self.now()
        waited_for = self.steps[-1].plugin if self.steps else ""
        yield
        self.steps.append(Step("laptop", name, waited_for, began, began, self.now()))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still meanwhile: the time that a user takes to think is not ours."""
        began = time.monotonic()
        yield
        self._began += time.monotonic() - began
