"""EC2's faults on the first version and on this one: `python -m tests.old_faults [A1 B6 ...]` prints a table.

Each fault is a case: the stand-in is made as EC2 would be, the command line of a version is run against it, and the
case says what came of it. Instances have no bodies here: what shows only on a machine that answers is named, and where
it is tested instead. Both versions get the same config.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl_standin.cloud import Cloud

from .old_fault_cases import CASES, ELSEWHERE, Bench
from .support.first_version import make_first_clusterctl

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT_S = 120


def _program(command: tuple[str, ...], cloud: Cloud, folder: Path) -> Callable[..., tuple[int, str]]:
    """Return what runs a command line of one version against a stand-in; its status and all that it printed."""

    def run(*words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CLUSTERCTL_"))}
        files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
        own = {"CLUSTERCTL_HOME": str(folder), "PYTHONWARNINGS": "ignore"}
        environment = {**kept, **files, **cloud.environment(), **own, **(env or {})}
        environment = {name: value for name, value in environment.items() if value}
        done = subprocess.run(
            [*command, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def _try_case(name: str, command: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        bench = Bench(cloud, Path(folder), _program(command, cloud, Path(folder)))
        try:
            fault = CASES[name].look(bench)
        except subprocess.TimeoutExpired:
            fault = f"not at an end after {_LIMIT_S} s"
        return f"fails: {fault}" if fault else "passes"


def main(names: list[str]) -> int:
    """Print the table. Return 1 if this version fails one, or the first one passes one."""
    versions = {"0.1": make_first_clusterctl(), "new": (sys.executable, "-m", "clusterctl.cli.main")}
    print("| fault | what is tried | 0.1 (783075d) | now |\n|---|---|---|---|")
    wrong = 0
    for name in names or sorted({*CASES, *ELSEWHERE}, key=lambda one: (one[0], int(one[1:]))):
        if name in ELSEWHERE:
            print(f"| {name} | {ELSEWHERE[name].text} | not run: {ELSEWHERE[name].why} | `{ELSEWHERE[name].test}` |")
            continue
        said = {version: _try_case(name, command) for version, command in versions.items()}
        wrong += said["0.1"] == "passes" or said["new"] != "passes"
        print(f"| {name} | {CASES[name].text} | {said['0.1']} | {said['new']} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
