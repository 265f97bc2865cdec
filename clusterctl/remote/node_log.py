"""The log of what was run on a node, on this computer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.clock import log_stamp

if TYPE_CHECKING:
    from pathlib import Path

_MOST_LOGGED = 1 << 20
"""The most letters of what a command said that are kept. A node could fill this computer's disk."""


def note_command(log: Path, name: str, status: int, text: str, seconds: float) -> None:
    """Append a command and what it said. A full disk must not hide the result."""
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{log_stamp()} {name} -> {status} ({seconds:.2f} s)\n")
        if len(text) > _MOST_LOGGED:
            file.write(f"    (the last {_MOST_LOGGED} of {len(text)} letters)\n")
        file.writelines(f"    {line}\n" for line in text[-_MOST_LOGGED:].splitlines())
