"""`install.py`, which a newcomer meets first: what it installs, by what, and what happens where that does not work."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = str(ROOT / "constraints.txt")


@pytest.fixture
def program():
    spec = importlib.util.spec_from_file_location("install", ROOT / "install.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


class Calls(list):
    """The commands that the program runs. Those with one of these words fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.environments: list[dict[str, str]] = []

    def run(self, command, *, env=None, **_):
        self.append(command)
        self.environments.append(env or {})
        settings = "global.index-url='https://index.example/simple'\n" if "config" in command else ""
        failed = any(all(word in command for word in words.split()) for words in self.failing)
        return subprocess.CompletedProcess(command, int(failed), settings)


@pytest.mark.parametrize(("command", "pinned"), [([], False), (["clusterctl", "list"], False), (["pytest"], True)])
@pytest.mark.parametrize("failing", [(), ("uv --python",)])
def test_contributors_get_the_pinned_versions_and_users_do_not(
    command, pinned, failing, program, monkeypatch, tmp_path
):
    calls = Calls(*failing)
    monkeypatch.setattr(program.subprocess, "run", calls.run)
    extra = program.EXTRAS.get(command[0], "") if command else ""
    program.install(tmp_path, extra)
    installs = [call for call in calls if "install" in call]
    assert [("-c" in call, CONSTRAINTS in call) for call in installs] == [(pinned, pinned)] * len(installs)
    assert installs[-1][-2:] == ["-e", f"{ROOT}{extra}"]


def test_uv_installs_with_what_pip_was_told(program, monkeypatch, tmp_path):
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    calls = Calls()
    monkeypatch.setattr(program.subprocess, "run", calls.run)
    program.install(tmp_path, "")
    assert calls[-1][1:4] == ["-m", "uv", "pip"]
    assert calls.environments[-1]["UV_DEFAULT_INDEX"] == "https://index.example/simple"


@pytest.mark.parametrize("failing", ["install uv", "uv --python"])
def test_pip_installs_where_uv_cannot_be_had_or_fails(failing, program, monkeypatch, tmp_path):
    calls = Calls(failing)
    monkeypatch.setattr(program.subprocess, "run", calls.run)
    program.install(tmp_path, "")
    assert calls[-1][1:4] == ["-m", "pip", "install"]
    assert (tmp_path / "clusterctl-installed").exists()


def test_where_both_fail_nothing_counts_as_installed(program, monkeypatch, tmp_path):
    monkeypatch.setattr(program.subprocess, "run", Calls("uv --python", "install -e").run)
    with pytest.raises(SystemExit, match="the installation failed"):
        program.install(tmp_path, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("forbidden", [True, False])
def test_all_is_compiled_where_nothing_may_be_later(forbidden, program, monkeypatch, tmp_path):
    calls = Calls()
    monkeypatch.setattr(program.subprocess, "run", calls.run)
    monkeypatch.setattr(program.sys, "dont_write_bytecode", forbidden)
    program.install(tmp_path, "")
    assert ("--compile-bytecode" in calls[-1]) == forbidden


def test_a_second_time_nothing_is_run(program, monkeypatch, tmp_path):
    calls = Calls()
    monkeypatch.setattr(program.subprocess, "run", calls.run)
    program.install(tmp_path, "")
    (tmp_path / program.BIN).mkdir()
    (tmp_path / program.BIN / program.PROGRAM).touch()
    calls.clear()
    program.install(tmp_path, "")
    assert not calls


def test_pips_settings_are_said_in_uvs_words(program):
    said = (
        "global.cert='/etc/ssl/company.pem'\n:env:.find-links='/wheels'\n"
        "global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'\nglobal.timeout='60'\n"
    )
    assert program.uv_settings(said) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/etc/ssl/company.pem",
        "UV_FIND_LINKS": "/wheels",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
    }


def test_what_the_environment_says_for_uv_wins(program, monkeypatch, tmp_path):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    calls = Calls()
    monkeypatch.setattr(program.subprocess, "run", calls.run)
    program.install(tmp_path, "")
    assert calls.environments[-1]["UV_DEFAULT_INDEX"] == "https://mine.example/simple"
