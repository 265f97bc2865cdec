"""Probes a service that answers HTTP on the loopback: it is the service's own process that listens, and it answers."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Callable

from .watching import processes

_WAIT_S = 3.0


def main(values: dict[str, Any]) -> Callable[[int], dict[str, Any]]:
    """Return what probes a server.

    `part` is what it is called, `path` what it is asked for, and `port` its port; or `file` is a JSON file that has it.
    """

    def probe(pid: int) -> dict[str, Any]:
        return {"parts": [{"part": values["part"], "pid": pid, "trouble": find_trouble(values, pid)}]}

    return probe


def find_trouble(values: dict[str, Any], pid: int) -> str:
    """Return what is wrong with the server of this process; empty where it answers."""
    port = values.get("port") or json.loads(Path(values["file"]).read_text(encoding="utf-8"))["port"]
    listening = processes.listeners(port)
    if listening and not listening & set(processes.tree(pid)):
        return f"is not what listens on its port {port}: process {min(listening)} does"
    others = processes.listening_users(port) - {processes.user_of(pid)}
    if others:
        return f"is not what listens on its port {port}: a process of user {min(others)} does"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request("GET", values["path"])
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as exc:
        return f"does not answer on port {port} ({exc or type(exc).__name__})"
    finally:
        connection.close()
    return f"answers with status {status}" if status >= http.client.INTERNAL_SERVER_ERROR else ""
