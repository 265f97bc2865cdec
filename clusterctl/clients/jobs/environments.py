"""Environments of jobs, one for each hash of what says what they need: a script's own lines, a lock, or a list.

ROOT/environments/HASH/         a virtual environment, whole once it has the file `whole`
ROOT/environments/HASH.lock     locked by who builds it
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.clock import utc_now
from clusterctl.laptop import locks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER = "environments"
_WHOLE = "whole"
_KEPT_S = 30 * 86400.0
"""Since a job has used it."""
_SCRIPT_LINES = re.compile(rb"^# /// script\s*\n((?:#.*\n)+?)# ///\s*$", re.MULTILINE)
_PYTHONS = re.compile(r"python[\d.]*")


class EnvironmentBuildError(Exception):
    """An environment cannot be built. The job's log says why."""


def find_source(work: Path, command: Sequence[str]) -> tuple[Path, bytes] | None:
    """Return the file that says what a job needs, and what of it counts; None where the cluster's will do."""
    script = next((word for word in command[1:] if word.endswith(".py")), None)
    if script and _PYTHONS.fullmatch(Path(command[0]).name):
        with contextlib.suppress(OSError):
            lines = _SCRIPT_LINES.search((work / script).read_bytes())
            if lines:
                return work / script, lines[1]
    for name in ("uv.lock", "requirements.txt"):
        with contextlib.suppress(OSError):
            return work / name, (work / name).read_bytes()
    return None


def ensure_environment(
    root: Path, work: Path, command: Sequence[str], run: Callable[[Sequence[str]], bool]
) -> Path | None:
    """Return the environment for a command, built where it is not there yet; None for the cluster's.

    Args:
        root: clusterctl's folder on the home.
        work: the job's copy of the code.
        command: the job's.
        run: runs a command in that folder. Returns whether it went well.

    Raises:
        EnvironmentBuildError: it cannot be built.
    """
    source = find_source(work, command)
    if source is None:
        return None
    file, content = source
    digest = hashlib.sha256(content + sys.version.encode() + sys.prefix.encode()).hexdigest()[:20]
    folder = root / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / digest
    with (folder / f"{digest}.lock").open("ab") as lock:
        locks.lock(lock)
        if not (place / _WHOLE).exists():
            shutil.rmtree(place, ignore_errors=True)
            for step in _steps(file, place):
                if not run(step):
                    raise EnvironmentBuildError(f"the environment of {file.name} cannot be built")
        (place / _WHOLE).touch()
    return place


def _steps(file: Path, place: Path) -> list[list[str]]:
    """Return the commands that build an environment."""
    uv = str(Path(sys.prefix).parent / "bin" / "uv")  # where nodes have it
    steps = [[uv, "venv", "--quiet", "--python", sys.executable, str(place)]]
    if file.name == "uv.lock":
        listed = str(place / "requirements.txt")
        steps.append([uv, "export", "--quiet", "--frozen", "--no-emit-project", "--output-file", listed])
    else:
        listed = str(file)
    return [*steps, [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), "-r", listed]]


def sweep(root: Path) -> None:
    """Delete environments that no job has used for long."""
    oldest = utc_now().timestamp() - _KEPT_S
    for mark in (root / FOLDER).glob(f"*/{_WHOLE}"):
        with contextlib.suppress(OSError):
            if mark.stat().st_mtime < oldest:
                shutil.rmtree(mark.parent, ignore_errors=True)
