"""What it costs to compile an environment when it is built, and what it costs each engine if nobody does.

python tests/benchmarks/bytecode.py [--runs 5] [PACKAGE ...]

Processor seconds, which other work on this computer changes little. The packages are those of `ipcluster`, and yours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import machine, spread
from uv import find_uv_bin

ENGINE = "import ipyparallel.engine.app"


def cpu_seconds(*command: object) -> float:
    """Processor time that a program and its children take."""
    before = os.times()
    # Nothing but the build writes bytecode: to engines the environment is read-only.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "UV_LINK_MODE": "hardlink"}
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=env)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Build it both ways in turn, and start an engine's imports in each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("packages", nargs="*")
    arguments = parser.parse_args()
    wanted = [f"ipyparallel=={version('ipyparallel')}", "supervisor>=4.2.5", *arguments.packages]
    uv = find_uv_bin()
    build: dict[str, list[float]] = {"as it is": [], "compiled": []}
    start: dict[str, list[float]] = {name: [] for name in build}
    with tempfile.TemporaryDirectory(prefix="clusterctl-bench-") as folder:
        for run in range(arguments.runs + 1):
            for name in build:
                env = Path(folder) / f"{run} {name}"
                subprocess.run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, env], check=True)
                python = env / "bin" / "python"
                options = ["--compile-bytecode"] if name == "compiled" else []
                build[name].append(cpu_seconds(uv, "pip", "install", "--python", python, *options, *wanted))
                start[name].append(cpu_seconds(python, "-c", ENGINE))
    print(machine())
    for name in build:
        print(f"{name:10} build {spread(build[name][1:])} s    an engine's imports {spread(start[name][1:])} s")


if __name__ == "__main__":
    main()
