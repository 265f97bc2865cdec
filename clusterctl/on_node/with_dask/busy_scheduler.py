"""Says whether Dask has work: tasks that run, and tasks that wait for a worker. Data that is kept is no work."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .page import read_page

if TYPE_CHECKING:
    from collections.abc import Callable

_WAIT_S = 5.0


def main(values: dict[str, Any]) -> Callable[[], dict[str, str]]:
    """Return what asks the scheduler that `file` tells of. It says on which nodes tasks are."""
    file = Path(values["file"])

    def ask() -> dict[str, str]:
        try:
            said = read_page(file, _WAIT_S)
        except ConnectionRefusedError:
            return {}  # one that does not run has no work
        nodes: Counter[str] = Counter()
        for worker, count in said["busy"].items():
            nodes[worker.rpartition("-")[0]] += count
        nodes[""] = said["tasks"] - sum(nodes.values())
        return {alias: _describe(count) for alias, count in sorted(nodes.items()) if count > 0}

    return ask


def _describe(count: int) -> str:
    return f"{count} task{'' if count == 1 else 's'} of Dask"
