"""EC2's faults on the first version and on this one: `python -m tests.old_faults [--bodies] [A1 ...]` prints a table.

Each fault is a case: the stand-in is made as EC2 would be, the command line of a version is run against it, and the
case says what came of it. Two of them show on machines that answer alone: with `--bodies`, as root and with a Docker
engine, instances of these have bodies. Both versions get the same config.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl_standin.cloud import Cloud

from .old_fault_cases import CASES, Bench
from .old_fault_machines import MACHINE_CASES
from .support.first_version import make_first_clusterctl

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl_standin.bodies.containers import Containers

_CASES = dict(sorted({**CASES, **MACHINE_CASES}.items(), key=lambda item: (item[0][0], int(item[0][1:]))))
THIS_VERSION = (sys.executable, "-m", "clusterctl.cli.main")
_LIMIT_S = 120
_LONG_S = 900
"""Where machines boot and packages are installed."""


def _program(command: tuple[str, ...], cloud: Cloud, folder: Path, limit_s: float) -> Callable[..., tuple[int, str]]:
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
            timeout=limit_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def try_case(name: str, command: tuple[str, ...]) -> str:
    """Return ``passes``, or what a version does wrong in a case."""
    case = _CASES[name]
    limit_s = _LONG_S if case.bodies else _LIMIT_S
    with ExitStack() as stack:
        folder, cloud = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(Cloud())
        bodies = stack.enter_context(_bodies_for(cloud)) if case.bodies else None
        bench = Bench(cloud, folder, _program(command, cloud, folder, limit_s), bodies)
        try:
            fault = case.look(bench)
        except subprocess.TimeoutExpired:
            fault = f"not at an end after {limit_s} s"
        return f"fails: {fault}" if fault else "passes"


def _bodies_for(cloud: Cloud) -> Containers:
    from clusterctl_standin.bodies.containers import Containers  # without a Docker engine the other cases can be run

    return Containers(cloud)


def main(words: list[str]) -> int:
    """Print the table. Return 1 if this version fails one, or the first one passes one."""
    names = [word for word in words if word != "--bodies"]
    versions = {"0.1": make_first_clusterctl(), "new": THIS_VERSION}
    print("| fault | what is tried | 0.1 (783075d) | now |\n|---|---|---|---|")
    wrong = 0
    for name in names or _CASES:
        if _CASES[name].bodies and "--bodies" not in words:
            print(f"| {name} | {_CASES[name].text} | not run: it needs --bodies | not run |")
            continue
        said = {version: try_case(name, command) for version, command in versions.items()}
        wrong += said["0.1"] == "passes" or said["new"] != "passes"
        print(f"| {name} | {_CASES[name].text} | {said['0.1']} | {said['new']} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
