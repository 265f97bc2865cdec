"""clusterctl 0.1, as commit 783075d of our own history has it: what somebody runs who upgrades later.

It is made once a computer, with dependencies that are pinned, and kept where the other things are that tests build.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import uv
from clusterctl_standin.bodies.cache import CACHE, one_at_a_time

COMMIT = "783075d37622daaaf5603f799a346e3894b29f99"
_ROOT = Path(__file__).parents[2]
_PINS = Path(__file__).with_name("first_version.txt")
_SOURCES = ("LICENSE", "README.md", "ami", "clusterctl", "plugins", "pyproject.toml", "templates")


@pytest.fixture(scope="session")
def first_clusterctl() -> tuple[str, ...]:
    """Its command line. Fails, or skips if `--require` does not name ``history``, in a clone without that commit."""
    return make_first_clusterctl()


def make_first_clusterctl() -> tuple[str, ...]:
    """Return its command line, made if nobody has yet."""
    # The ipyparallel of this environment: pip leaves it as it is when it upgrades clusterctl.
    ipyparallel = f"ipyparallel=={version('ipyparallel')}"
    content = hashlib.sha256(f"{sys.version}\n{ipyparallel}\n{_PINS.read_text(encoding='utf-8')}".encode())
    folder = CACHE / f"clusterctl-{COMMIT[:7]}-{content.hexdigest()[:12]}"
    python, finished = folder / "venv" / "bin" / "python", folder / "finished"
    with one_at_a_time("first-version"):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _check_out(folder / "source")
            _run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder / "venv")
            install = (uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--constraints", _PINS)
            _run(*install, folder / "source", ipyparallel)
            finished.touch()
    return (str(python.with_name("clusterctl")),)


def _check_out(folder: Path) -> None:
    archive = folder.with_suffix(".tar")
    # Whoever may run these tests may read the clone, whoever owns it.
    command = ("git", "-c", "safe.directory=*", "archive", "--output", archive, COMMIT, *_SOURCES)
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True) if shutil.which("git") else None
    if done is None or done.returncode:
        pytest.skip(
            f"history: commit {COMMIT[:7]} is not in this clone, so there is no cluster to upgrade;"
            f" `git fetch --unshallow` gets it ({done.stderr.strip() if done else 'git is not installed'})"
        )
    folder.mkdir()
    _run("tar", "--extract", "--file", archive, "--directory", folder)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr}"
