"""What the benchmarks share: homes of their own, medians, and the line that says what machine this was."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTERCTL = [sys.executable, "-m", "clusterctl.cli.main"]


def machine() -> str:
    """Cores, Python, and versions: figures mean nothing without them."""
    from importlib.metadata import version

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ", ".join(f"{name} {version(name)}" for name in ("ipyparallel", "asyncssh", "paramiko"))
    return f"{cores} cores, {platform.system()}, Python {platform.python_version()}, {packages}"


@contextmanager
def home() -> Iterator[dict[str, str]]:
    """An environment with a folder of its own for clusterctl; caches stay the user's, so they are warm."""
    with tempfile.TemporaryDirectory(prefix="clusterctl-bench-") as folder:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCTL_")}
        # Where it is set, every command compiles the whole program anew: no user's does.
        clean.pop("PYTHONDONTWRITEBYTECODE", None)
        yield {**clean, "CLUSTERCTL_HOME": folder}


def clusterctl(env: dict[str, str], *arguments: str) -> str:
    """Run the command; what it printed, or an error with all of it."""
    result = subprocess.run([*CLUSTERCTL, *arguments], env=env, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"clusterctl {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def seconds(act: object, *arguments: object) -> float:
    """Wall-clock time of a call."""
    began = time.monotonic()
    act(*arguments)  # type: ignore[operator]
    return time.monotonic() - began


def spread(values: list[float]) -> str:
    """Median, and the least and the most."""
    return f"{statistics.median(values):7.2f} ({min(values):.2f} - {max(values):.2f})"


def client_file(env: dict[str, str], name: str) -> Path:
    """Where `start` put the connection file."""
    return Path(env["CLUSTERCTL_HOME"]) / "clusters" / name / "client.json"
