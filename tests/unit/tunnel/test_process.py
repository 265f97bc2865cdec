"""The tunnel's files: a dead process is not believed. The process itself: tests/e2e/test_tunnel.py."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from clusterctl.errors import StateError
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


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_one_that_is_damaged_ends_no_tunnel_that_runs_and_opens_none(tmp_path, spawned, text):
    process.open_tunnel(tmp_path, TARGET, [Forward(1, "127.0.0.1", 2)])
    description = (tmp_path / "tunnel.json").read_text()
    assert process.is_wanted(tmp_path, description)
    (tmp_path / "tunnel.json").write_text(text)
    assert process.is_wanted(tmp_path, description)
    with pytest.raises(StateError, match="is damaged") as caught:
        process.reopen_tunnel(tmp_path)
    assert "clusterctl start" in caught.value.remedy
    (tmp_path / "tunnel.json").write_text(description.replace("10.0.0.1", "10.0.0.2"))
    assert not process.is_wanted(tmp_path, description)
    (tmp_path / "tunnel.json").unlink()
    assert not process.is_wanted(tmp_path, description)
    assert len(spawned) == 1


class TestAnswers:
    """What goes in at this computer's end must come out at the other one."""

    @pytest.fixture
    def port(self, tmp_path, monkeypatch, allow_loopback):
        """Opens the first port of a tunnel that runs; the other side of it is played by a thread."""
        monkeypatch.setattr(process, "is_up", lambda folder: True)
        monkeypatch.setattr(process, "_ANSWER_S", 0.2)
        opened, playing = [], []

        def port(play):
            listener = socket.create_server(("127.0.0.1", 0))
            number = listener.getsockname()[1]
            forwards = [asdict(Forward(number, "127.0.0.1", 2))]
            (tmp_path / "tunnel.json").write_text(json.dumps({"format": 1, "target": {}, "forwards": forwards}))
            if play is None:
                listener.close()
                return
            opened.append(listener)
            thread = threading.Thread(target=lambda: opened.append(play(listener.accept()[0])), daemon=True)
            thread.start()
            playing.append(thread)

        yield port
        for thread in playing:
            thread.join(5)
        for each in opened:
            if each is not None:
                each.close()

    def test_a_service_that_speaks_first_is_heard(self, port, tmp_path):
        def speak(end):
            end.sendall(b"\xff")
            return end

        port(speak)
        assert process.answers(tmp_path)

    def test_one_that_waits_is_believed(self, port, tmp_path):
        port(lambda end: end)
        assert process.answers(tmp_path)

    def test_a_port_that_is_closed_or_closes_at_once_leads_nowhere(self, port, tmp_path):
        port(None)
        assert not process.answers(tmp_path)
        port(lambda end: end.close())
        assert not process.answers(tmp_path)

    def test_without_its_process_nothing_is_asked(self, tmp_path):
        assert not process.answers(tmp_path)
