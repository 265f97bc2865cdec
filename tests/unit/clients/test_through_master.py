"""A worker's way to the controller: one ssh for a process, which ends with it. The ssh is a program of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from clusterctl.clients.through_master import Way
from clusterctl.errors import StateError

from ...support.laptop import poll

SSH = """#!/bin/sh
echo "$@" >> "$ASKED"
[ ! -e "$ASKED.refuse" ] || { echo "noise" >&2; echo "anna@master: Permission denied (publickey)." >&2; exit 255; }
for last; do :; done
case "$*" in
    *-L*) [ ! -e "$ASKED.taken" ] || { rm "$ASKED.taken"; exit 255; } ;;
esac
exec sh -c "$last"
"""
DOCUMENT = {"interface": "tcp://127.0.0.1", "location": "x", "ssh": "", "key": "k", "registration": 1111, "mux": 2222}


@pytest.fixture
def master(tmp_path, monkeypatch, allow_subprocess, allow_loopback):
    """The file of a controller, and what ssh was asked for."""
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    (tmp_path / "it's.json").write_text(json.dumps(DOCUMENT))
    return tmp_path


def asked(master):
    return (master / "asked").read_text().splitlines()


@pytest.fixture
def way():
    made = Way()
    yield made
    made.close()


def test_ports_are_forwarded_once_for_a_process(master, way):
    document = way.document("10.0.0.1", master / "it's.json")
    assert way.document("10.0.0.1", master / "it's.json") == document
    reading, forwarding = asked(master)
    assert reading.endswith(f"10.0.0.1 cat '{master}/it'\"'\"'s.json'")
    for name in ("registration", "mux"):
        assert f"-L127.0.0.1:{document[name]}:127.0.0.1:{DOCUMENT[name]}" in forwarding
        assert document[name] != DOCUMENT[name]
    assert (document["interface"], document["location"], document["key"]) == ("tcp://127.0.0.1", "127.0.0.1", "k")


def test_one_that_has_ended_is_opened_anew(master, way):
    way.document("10.0.0.1", master / "it's.json")
    way._process.kill()
    way._process.wait()
    way.document("10.0.0.1", master / "it's.json")
    assert len(asked(master)) == 4


def test_a_port_that_was_taken_meanwhile_is_another_one(master, way):
    (master / "asked.taken").touch()
    assert way.document("10.0.0.1", master / "it's.json")["mux"]
    assert len(asked(master)) == 3


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda master: (master / "asked.refuse").touch(), "anna@master: Permission denied"),
        (lambda master: (master / "it's.json").unlink(), "No such file"),
        (lambda master: (master / "it's.json").write_text("[]"), "it has no connection file"),
    ],
    ids=["no login", "no file", "no document"],
)
def test_what_fails_is_said_in_the_last_words_of_ssh(master, way, spoil, says):
    spoil(master)
    with pytest.raises(StateError, match=r"cannot be reached through the master, 10\.0\.0\.1") as caught:
        way.document("10.0.0.1", master / "it's.json")
    assert says in caught.value.message
    assert "the cluster's user" in caught.value.remedy


def test_it_ends_with_a_process_that_is_killed(master):
    code = (
        "import sys, pathlib, time\n"
        "from clusterctl.clients.through_master import WAY\n"
        "WAY.document('10.0.0.1', pathlib.Path(sys.argv[1]))\n"
        "print(WAY._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    source = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", code, master / "it's.json"], cwd=source, stdout=subprocess.PIPE, text=True
    )
    with process:
        forwarding = psutil.Process(int(process.stdout.readline()))
        process.kill()
    poll(lambda: not forwarding.is_running() or forwarding.status() == psutil.STATUS_ZOMBIE, "ssh has ended")
