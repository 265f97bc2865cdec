"""Reads what the scheduler says of itself, on the master's loopback. Nobody else who listens there is asked."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path
from typing import Any

from .files import DASHBOARD, PAGE, load

_PROC = Path("/proc")


def read_page(path: Path, wait_s: float) -> dict[str, Any]:
    """Return which workers there are, how many tasks are to be done, and how many of them each worker has.

    Raises:
        OSError: nobody answers, or it is not the scheduler who listens.
    """
    document = load(path)
    if not document:
        raise OSError(f"{path} is damaged")
    port = document[DASHBOARD]
    others = listening_users(port) - {path.stat().st_uid}
    if others:  # who is asked is told the path that nobody else knows
        raise OSError(f"a process of user {min(others)} has its port {port}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=wait_s)
    try:
        connection.request("GET", f"/{document['token']}/{PAGE}")
        said = json.loads(connection.getresponse().read())
        busy = {str(name): int(count) for name, count in said.get("busy", {}).items()}  # one of before has none
        return {"workers": [str(name) for name in said["workers"]], "tasks": int(said["tasks"]), "busy": busy}
    except (http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise OSError(f"it gave an answer that cannot be read ({exc or type(exc).__name__})") from exc
    finally:
        connection.close()


def listening_users(port: int) -> set[int]:
    """Return the users whose processes listen on a TCP port; none where the system does not tell."""
    users = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    users.add(int(words[7]))
    return users
