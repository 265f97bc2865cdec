"""Says whether Dask has work: tasks that run, and tasks that wait for a worker. Data that is kept is no work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .page import read_page

if TYPE_CHECKING:
    from collections.abc import Callable

_WAIT_S = 5.0


def main(values: dict[str, Any]) -> Callable[[], str]:
    """Return what asks the scheduler that `file` tells of."""
    file = Path(values["file"])

    def ask() -> str:
        try:
            count = read_page(file, _WAIT_S)["tasks"]
        except ConnectionRefusedError:
            return ""  # one that does not run has no work
        return f"{count} task{'' if count == 1 else 's'} of Dask" if count else ""

    return ask
