"""The file that says where the scheduler is, and has the certificates of the cluster's own."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

HOST, SCHEDULER, DASHBOARD = "host", "scheduler", "dashboard"
PAGE = "clusterctl"
"""The page, below the dashboard's path, that says who is there."""


def load(path: Path) -> dict[str, Any]:
    """Return the document in a file; an empty one where it is not there or not whole."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write it for its owner only, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    draft.replace(path)
