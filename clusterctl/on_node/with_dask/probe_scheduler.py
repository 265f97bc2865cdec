"""Probes Dask's scheduler: the loop that answers its page is the one that gives out tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .page import read_page

if TYPE_CHECKING:
    from collections.abc import Callable

_WAIT_S = 3.0


def main(values: dict[str, Any]) -> Callable[[int], dict[str, Any]]:
    """Return what probes the scheduler that `file` tells of. The names of the workers are its facts."""
    file = Path(values["file"])

    def probe(pid: int) -> dict[str, Any]:
        trouble, facts = "", {}
        try:
            facts = {"workers": read_page(file, _WAIT_S)["workers"]}
        except OSError as exc:
            trouble = f"does not answer: {exc}"
        return {"parts": [{"part": "dask scheduler", "pid": pid, "trouble": trouble}], "facts": facts}

    return probe
