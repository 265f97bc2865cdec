"""Probes all services of this node once, and prints what was found as JSON: the same probes that the watch uses."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .ending import clocks
from .ending.records import State, Terms, read
from .watching.judging import describe
from .watching.managers import find_manager
from .watching.probing import Probed, load_probes

_FROZEN_S = 60.0


def main(values: dict[str, Any]) -> None:
    """Probe: `probes`, `told`, `beat`, `socket` and `login` are as for the watch."""
    try:
        states = find_manager(values).states()
    except OSError as exc:
        print(json.dumps({"manager": str(exc) or "does not answer", "services": []}))
        return
    probes = load_probes(Path(values["probes"]))
    with ThreadPoolExecutor(max(1, len(probes))) as pool:
        instances = list(pool.map(lambda probed: _look_at(probed, states.get(probed.name, {})), probes))
    told = _read(Path(values["told"]))
    for instance in instances:
        instance["restarts"] = told.get(f"{instance['service']}-{instance['number']}", {})
    answer = {"manager": "", "services": instances, "watched": _is_watched(states, Path(values["beat"]))}
    print(json.dumps({**answer, "ending": _find_end(values.get("ending") or {})}))


def _find_end(about: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the watch has decided of the end of the cluster; None where it never ends by itself."""
    terms = read(Terms, Path(about["terms"])) if about.get("master") else None
    state = read(State, Path(about["decision"])) if terms else None
    return state.told(clocks.now()) if terms and state and state.nonce == terms.nonce else None


def _look_at(probed: Probed, state: dict[str, Any]) -> dict[str, Any]:
    pid = state.get("pid", 0)
    if pid:
        findings = probed.find(pid)
    else:
        trouble = "does not run"
        findings = {"parts": [{"part": probed.service, "pid": 0, "trouble": trouble}], "facts": {}}
    trouble = describe([(part["part"], part["trouble"]) for part in findings["parts"] if part["trouble"]])
    return {"service": probed.service, "number": probed.number, "trouble": trouble, **findings}


def _is_watched(states: dict[str, dict[str, Any]], beat: Path) -> bool:
    """Return whether the watch runs, and has looked not long ago; or has just begun."""
    if not states.get("watch-0", {}).get("pid"):
        return False
    try:
        return time.time() - beat.stat().st_mtime < _FROZEN_S
    except OSError:
        return True


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
