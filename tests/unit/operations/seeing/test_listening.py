"""A listener keeps what came last, says why nothing comes, and begins anew."""

from __future__ import annotations

import threading

import pytest

from clusterctl.clock import Deadline
from clusterctl.operations.seeing import listening
from clusterctl.operations.seeing.listening import Listener, Program
from clusterctl.testing import fake_node


class Running:
    """A program that says these parts, and then waits for its end."""

    def __init__(self, parts, *, status=0):
        self.parts, self.status = list(parts), status
        self.closed = threading.Event()

    def read(self, size):
        if not self.parts:
            self.closed.wait(10)
            return b""
        part = self.parts.pop(0)
        if isinstance(part, Exception):
            raise part
        return part

    def read_errors(self, size):
        return b""

    def write(self, data):
        pass

    def wait(self):
        return self.status

    def close(self):
        self.closed.set()


class Nodes:
    """A cluster whose only node runs these programs, one after the other."""

    def __init__(self, *runs):
        self.node = fake_node("node001")
        self.runs, self.opened = list(runs), 0

    def open(self):
        self.opened += 1
        return self, self.node

    def on(self, node):
        return self

    def connect(self):
        pass

    def start_command(self, command, *, idle_s):
        self.running = self.runs.pop(0)
        return self.running

    def close(self):
        if self.opened:
            self.running.close()


PROGRAM = Program("clusterctl.on_node.system.seeing.tell_load", lambda node: {}, int, bare=True)


@pytest.fixture
def listen(monkeypatch):
    monkeypatch.setattr(listening, "_AGAIN_S", 0.01)
    monkeypatch.setattr(listening, "_REST_S", 0.0)
    begun = []

    def listen(*runs):
        nodes = Nodes(*runs)
        begun.append(Listener(PROGRAM, nodes.open, every_s=1, idle_s=5))
        return nodes, begun[-1]

    yield listen
    for listener in begun:
        listener.close()
        listener.join(Deadline.after(10))
        assert not listener._thread.is_alive()


def until(condition):
    for _ in Deadline.after(10).polls(0.01):
        if condition():
            return
    pytest.fail("it never came")


def test_the_newest_line_is_kept(listen):
    _, listener = listen(Running([b"1\n2", b"3\n"]))
    until(lambda: listener.heard().value == 23)
    assert listener.heard().trouble == ""


@pytest.mark.parametrize(
    ("parts", "status", "trouble"),
    [
        ([b"7\n", b""], 0, "it ended with status 0"),
        ([b"7\n", b""], -1, "the connection was lost"),
        ([b"7\n", TimeoutError()], 0, "it was silent for 5 s"),
        ([b"7\n", OSError("reset")], 0, "reset"),
        ([b"7\n", b"seven\n"], 0, "what it tells makes no sense"),
    ],
)
def test_what_ended_is_begun_anew_and_said_meanwhile(listen, monkeypatch, parts, status, trouble):
    monkeypatch.setattr(listening, "_AGAIN_S", 0.5)
    nodes, listener = listen(Running(parts, status=status), Running([b"8\n"]))
    until(lambda: listener.heard().trouble)
    assert listener.heard().trouble == trouble
    until(lambda: listener.heard().value == 8)
    assert listener.heard().trouble == ""
    assert nodes.opened == 2


def test_a_line_without_an_end_is_given_up(listen, monkeypatch):
    monkeypatch.setattr(listening, "_LONGEST_LINE", 100)
    _, listener = listen(Running([b"1" * 101]), Running([]))
    until(lambda: listener.heard().trouble)
    assert listener.heard().trouble == "what it tells makes no sense"
