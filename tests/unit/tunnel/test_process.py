"""The tunnel's files: a dead process is not believed. The process itself: tests/e2e/test_tunnel.py."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from clusterctl.model import Access
from clusterctl.testing import fake_node
from clusterctl.tunnel import process
from clusterctl.tunnel.process import Forward, Target


@pytest.fixture
def spawned(monkeypatch):
    found = []

    class Fake:
        def __init__(self, folder):
            self.folder = folder

        def become_tunnel(self):
            found.append(self.folder)

    monkeypatch.setattr(process, "StandbyProcess", Fake)
    return found


TARGET = Target.for_node(fake_node(address="10.0.0.1", port=2222, user="me"), Path("/k"), Path("/h"))


def test_the_target_is_where_the_node_is_and_what_lets_one_in():
    assert Target("10.0.0.1", 2222, "me", "/k", "/h") == TARGET


def test_it_has_the_access_that_everything_else_has():
    node = fake_node(access=Access(agent=True, jump="me@gate", command=("aws", "ssm")))
    made = Target.for_node(node, Path("/k"), Path("/h"))
    assert (made.key, made.agent, made.jump, made.command) == ("/k", True, "me@gate", ("aws", "ssm"))
    assert Target.for_node(fake_node(access=Access(key="/mine")), Path("/k"), Path("/h")).key == "/mine"


def test_without_a_tunnel_nothing_is_up_and_ending_it_is_success(tmp_path, spawned):
    assert not process.is_up(tmp_path)
    assert process.read_forwards(tmp_path) == []
    assert not process.reopen_tunnel(tmp_path)
    process.stop_process(tmp_path)
    process.close_tunnel(tmp_path)
    assert spawned == []


def test_opening_writes_the_plan_for_its_owner_only(tmp_path, spawned):
    os.umask(os.umask(0o022))
    process.open_tunnel(tmp_path, TARGET, [Forward(1, "127.0.0.1", 2)])
    assert (tmp_path / "tunnel.json").stat().st_mode & 0o777 == 0o600
    assert process.read_forwards(tmp_path) == [Forward(1, "127.0.0.1", 2)]
    assert spawned == [tmp_path]


def test_a_process_that_waits_becomes_the_tunnel_and_no_other_is_started(tmp_path, spawned):
    other = tmp_path / "told"
    process.open_tunnel(tmp_path, TARGET, [Forward(1, "127.0.0.1", 2)], standby=process.StandbyProcess(other))
    assert spawned == [other]


def test_one_that_was_opened_before_is_brought_back(tmp_path, spawned):
    process.open_tunnel(tmp_path, TARGET, [Forward(1, "127.0.0.1", 2)])
    assert process.reopen_tunnel(tmp_path)
    assert len(spawned) == 2
    process.close_tunnel(tmp_path)
    assert not process.reopen_tunnel(tmp_path)


@pytest.mark.parametrize("pid", ["1", "999999999", "", "nonsense"])
def test_a_pid_without_its_lock_is_a_dead_ones_and_nobody_is_killed(tmp_path, pid):
    (tmp_path / "tunnel.pid").write_text(pid)
    assert not process.is_up(tmp_path)
    process.stop_process(tmp_path)
    assert not (tmp_path / "tunnel.pid").exists()


def test_one_that_holds_its_lock_is_up_and_left_alone_if_it_does_what_is_wanted(tmp_path, spawned):
    process.open_tunnel(tmp_path, TARGET, [Forward(1, "127.0.0.1", 2)])
    with (tmp_path / "tunnel.pid").open("w+") as held:
        held.write("4194304\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert process.is_up(tmp_path)
        process.open_tunnel(tmp_path, TARGET, [Forward(1, "127.0.0.1", 2)])
        process.reopen_tunnel(tmp_path)
    assert len(spawned) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"forwards": [{"x": 1}]}', '{"forwards": 7}', "null"])
def test_a_plan_that_is_not_whole_is_none(tmp_path, text):
    (tmp_path / "tunnel.json").write_text(text)
    assert process.read_forwards(tmp_path) == []
