"""Prints who works on this node besides its engines, as JSON: logins, processes that compute, and jobs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from .people import People

_WINDOW_S = 3.0
"""For so long processes are looked at."""
_JOB = b"clusterctl.clients.run_job"
_NODE_ROOT = "CLUSTERCTL_NODE_ROOT"


def main(values: dict[str, Any]) -> None:
    """Look twice: `home` is that of the cluster user."""
    uid = Path(values["home"]).stat().st_uid
    people = People(os.environ.get(_NODE_ROOT, ""), _WINDOW_S, but=own_chain())
    people.look(uid, {}, time.monotonic())
    time.sleep(_WINDOW_S)
    work = people.look(uid, {}, time.monotonic())
    jobs = find_jobs(people.mine(uid))
    print(json.dumps({"work": [*work.values(), *jobs]}))


def own_chain() -> frozenset[int]:
    """Return this process and those that have begun it: a question is no work."""
    chain, pid = set(), os.getpid()
    while pid > 1:
        chain.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return frozenset(chain)


def find_jobs(pids: set[int]) -> list[str]:
    """Return the jobs that run or wait here: each has a process that sees to it."""
    jobs = []
    for pid in sorted(pids):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if _JOB in words:
            jobs.append("a job")
    return jobs[:1]
