"""A watch without a terminal: the unit of systemd, and who refuses it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from clusterctl.errors import StateError
from clusterctl.operations.watching import user_unit

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in *"$REFUSES"*) echo "Failed to connect to bus" >&2; exit 1;; esac
"""


@pytest.fixture
def systemctl(tmp_path, monkeypatch, allow_subprocess):
    """One that notes what it is asked, and refuses what the test says."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("REFUSES", "nothing that it is asked")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return lambda: (tmp_path / "log").read_text().splitlines() if (tmp_path / "log").exists() else []


def test_a_unit_is_written_and_begins_now_and_at_each_login(systemctl, tmp_path):
    path = user_unit.install_unit("clusterctl-watch-demo", "[Unit]\n")
    assert path == tmp_path / "config" / "systemd" / "user" / "clusterctl-watch-demo.service"
    assert path.read_text() == "[Unit]\n"
    assert systemctl() == [
        "--user daemon-reload",
        "--user enable clusterctl-watch-demo.service",
        "--user restart clusterctl-watch-demo.service",
    ]


def test_what_systemd_refuses_leaves_no_file(systemctl, monkeypatch):
    monkeypatch.setenv("REFUSES", "enable")
    with pytest.raises(StateError, match="Failed to connect to bus"):
        user_unit.install_unit("demo", "[Unit]\n")
    assert not user_unit.unit_file("demo").exists()


def test_a_computer_without_systemd_gets_a_sentence(systemctl, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match="no systemd"):
        user_unit.install_unit("demo", "[Unit]\n")
    assert not user_unit.unit_file("demo").exists()


def test_it_is_taken_away_once(systemctl):
    user_unit.install_unit("demo", "[Unit]\n")
    assert user_unit.remove_unit("demo")
    assert not user_unit.unit_file("demo").exists()
    assert "--user disable --now demo.service" in systemctl()
    assert not user_unit.remove_unit("demo")


def test_a_watch_that_ends_by_itself_is_not_ended_by_its_own_command(systemctl):
    user_unit.install_unit("demo", "[Unit]\n")
    user_unit.remove_unit("demo", stop=False)
    assert "--user disable demo.service" in systemctl()


TEXT = user_unit.write_unit(
    "Keep the cluster 100%n whole",
    ["/opt/my python/bin/python", "-m", "clusterctl.cli.main", "-c", '/home/$USER/it\'s "mine"', "watch", "demo"],
    {"CLUSTERCTL_HOME": "/home/100%h", "AWS_PROFILE": "a b"},
)


def test_words_keep_their_blanks_quotes_dollars_and_percent_signs():
    lines = TEXT.splitlines()
    assert "Description=Keep the cluster 100%%n whole" in lines
    assert 'Environment="CLUSTERCTL_HOME=/home/100%%h"' in lines
    assert 'Environment="AWS_PROFILE=a b"' in lines
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    assert command.startswith('ExecStart="/opt/my python/bin/python" "-m"')
    assert '"/home/$$USER/it\'s \\"mine\\""' in command


def test_systemd_itself_reads_it(tmp_path, allow_subprocess):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / "demo.service"
    unit.write_text(TEXT.replace("/opt/my python/bin/python", "/bin/sh"))
    done = subprocess.run([analyze, "--user", "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if str(unit) in line or "demo.service" in line]
    assert complaints == []
