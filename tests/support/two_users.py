"""Two users of one computer, neither with any rights: one has clusters, the other one is after them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .cold_start import anybodys_python, virtual_environment
from .laptop import Laptop

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPY = (Path(__file__).parent / "spy.py").read_text()


@dataclass
class User:
    """A user by number, with a home of their own that all may enter, as many systems make it."""

    uid: int
    base: Path
    python: str

    @property
    def runner(self) -> tuple[str, ...]:
        number = self.uid
        return ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", "--no-new-privs", "env")

    @property
    def environment(self) -> dict[str, str]:
        places = {"HOME": "", "XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config", "XDG_RUNTIME_DIR": "run"}
        return {name: str(self.base / folder) for name, folder in places.items()}

    def laptop(self, **more: str) -> Laptop:
        home = more.pop("CLUSTERCTL_HOME", str(self.base / ".clusterctl"))
        return Laptop(
            Path(home),
            more={**self.environment, **more},
            command=(self.python, "-m", "clusterctl.cli.main"),
            runner=self.runner,
        )

    def _begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.runner, "-i", *[f"{k}={v}" for k, v in self.environment.items()], self.python, "-c", _SPY, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def spy(self, *words: object) -> object:
        """Do what `spy.py` does with these words; return its answer."""
        with self._begin(*map(str, words)) as process:
            said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, words
        return json.loads(said)

    @contextmanager
    def listening(self, *places: str) -> Iterator[list[str]]:
        """Have these ports meanwhile. What was heard there is in the list afterwards."""
        heard: list[str] = []
        with self._begin("listen", *places) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", places
            try:
                yield heard
            finally:
                said, _ = process.communicate(timeout=30)
                heard += json.loads(said)


@contextmanager
def two_users() -> Iterator[tuple[User, User]]:
    """A victim and a thief. Their folders are gone afterwards, and what still runs."""
    if os.geteuid():
        pytest.skip("root: it takes root to be two users")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv: is not installed")
    base = Path(tempfile.mkdtemp(prefix="users-", dir="/tmp"))
    base.chmod(0o755)
    users = []
    try:
        for number in (0, 1):
            uid = 61000 + 2 * (os.getpid() % 2000) + number
            user = User(uid, base / f"user{number}", "")
            program = anybodys_python(user.runner)
            if program is None:
                pytest.skip("root: no Python of this version that anybody may run")
            (base / f"user{number}" / "run").mkdir(parents=True, mode=0o700)
            user.python = virtual_environment(base / f"venv{number}", program)
            for folder in (user.base, user.base / "run"):
                os.chown(folder, uid, uid)
            users.append(user)
        victim, thief = users
        yield victim, thief
    finally:
        shutil.rmtree(base)
