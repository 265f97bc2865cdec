"""What the user's Python is told does not change what ours does."""

import io

import pytest

from clusterctl.environment import lock
from clusterctl.environment.variables import own_process_environment
from clusterctl.laptop import processes
from clusterctl.tunnel import process

TOLD = {
    "PYTHONWARNINGS": "error::DeprecationWarning",
    "PYTHONINSPECT": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "0",
    "PYTHONDEVMODE": "1",
    "PYTHONBREAKPOINT": "0",
    "PYTHONSTARTUP": "/nowhere",
}


def test_it_finds_the_same_modules_and_nothing_else_of_python():
    kept = {"PYTHONPATH": "/src", "PYTHONHOME": "/usr", "PYTHONUTF8": "1", "HOME": "/home/me", "UV_INDEX": "https://x"}
    assert own_process_environment({**kept, **TOLD}) == kept


class FakeProcess:
    """A process that ends at once."""

    returncode = 0

    def __init__(self, *_, env, **__):
        self.env = dict(env)
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO()
        started.append(self)

    def kill(self):
        pass

    def wait(self):
        pass


started: list[FakeProcess] = []


@pytest.fixture(autouse=True)
def _fake_processes(monkeypatch):
    started.clear()
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes.subprocess, "Popen", FakeProcess)
    monkeypatch.setattr(lock.subprocess, "run", FakeProcess)


def expect_an_environment_of_ours():
    (one,) = started
    assert not TOLD.keys() & one.env.keys()
    assert "PATH" in one.env


def test_the_tunnel_is_started_so(tmp_path):
    process.StandbyProcess(tmp_path).end_unused()
    expect_an_environment_of_ours()


def test_packages_are_built_so():
    lock.resolve(["six"], lock.Index())
    expect_an_environment_of_ours()
