"""Logs of several nodes at once: each line with its node, hostile ones refused, a lost node tried again."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from clusterctl.clock import Deadline
from clusterctl.errors import UsageError
from clusterctl.operations.seeing import following
from clusterctl.operations.seeing.following import LogLine
from clusterctl.testing import fake_node

if TYPE_CHECKING:
    from clusterctl.model import Node


def said(text, at=(1, 5), log="engine-0"):
    return json.dumps({"log": log, "text": text, "at": at}).encode() + b"\n"


class Running:
    """A program that says this, and then ends or waits."""

    def __init__(self, output, *, waits):
        self.parts, self.waits, self.closed = [output], waits, threading.Event()

    def read(self, size):
        if self.parts:
            return self.parts.pop()
        if self.waits:
            self.closed.wait(20)
        return b""

    def read_errors(self, size):
        return b""

    def write(self, data):
        self.program = data

    def wait(self):
        return -1

    def close(self):
        self.closed.set()


@pytest.fixture
def nodes(monkeypatch):
    """The programs that each node runs, one after the other, and what each was told."""
    runs: dict[str, list[Running]] = {}
    programs: list[bytes] = []

    class Cluster:
        def __init__(self, node: Node) -> None:
            self.node, self.running = node, None

        def on(self, node):
            return self

        def connect(self):
            pass

        def start_command(self, command, *, idle_s):
            self.running = runs[self.node.alias].pop(0)
            self.running.write = programs.append
            return self.running

        def close(self):
            if self.running:
                self.running.close()

    def open_node(context, alias):
        node = fake_node(alias)
        return Cluster(node), node

    monkeypatch.setattr(following, "open_node", open_node)
    monkeypatch.setattr(following, "_AGAIN_S", 0.01)
    return SimpleNamespace(runs=runs, programs=programs)


def follow(aliases, count):
    """Follow until so many lines have come, and then press Ctrl-C."""
    lines = []
    enough = threading.Event()

    def show(line):
        lines.append(line)
        if len(lines) >= count:
            enough.set()

    class Pressed(following._Follower):
        def wait(self):
            assert enough.wait(20), lines
            raise KeyboardInterrupt

    following_class, following._Follower = following._Follower, Pressed
    try:
        with pytest.raises(KeyboardInterrupt):
            following.follow_logs(SimpleNamespace(), aliases, pattern="*", lines=5, show=show)
    finally:
        following._Follower = following_class
    for _ in Deadline.after(10).polls(0.01):
        if not [thread for thread in threading.enumerate() if "_run" in thread.name]:
            return lines
    pytest.fail("threads are left")


def test_lines_have_their_nodes(nodes):
    nodes.runs |= {"master": [Running(said("a"), waits=True)], "node001": [Running(b"{}\n" + said("b"), waits=True)]}
    lines = follow(["master", "node001"], 2)
    assert sorted(lines, key=lambda line: line.node) == [
        LogLine("master", "engine-0", "a"),
        LogLine("node001", "engine-0", "b"),
    ]


def test_a_lost_node_is_said_once_and_followed_from_where_it_was(nodes):
    nodes.runs["master"] = [Running(said("a", (7, 99)), waits=False), Running(said("b"), waits=True)]
    lines = follow(["master"], 3)
    assert [line.text for line in lines] == ["a", "not followed now: the connection was lost; it is tried again", "b"]
    assert "'{" in nodes.programs[1].decode()
    assert '"positions": {"engine-0": [7, 99]}' in nodes.programs[1].decode()
    assert '"positions": {}' in nodes.programs[0].decode()


@pytest.mark.parametrize(
    "output",
    [
        *(b"[1]\n", b"7\n", b"nonsense\n", b'{"log": 1}\n', b"x" * (2 << 20)),
        *(said("x", (1,)), said("x", ("a", 2)), said(7), said("x", log=7)),
    ],
)
def test_what_makes_no_sense_is_no_line(nodes, output):
    nodes.runs["master"] = [Running(output, waits=False), Running(said("fine"), waits=True)]
    lines = follow(["master"], 2)
    assert [line.text for line in lines] == [
        "not followed now: what it tells makes no sense; it is tried again",
        "fine",
    ]


def test_an_engine_is_found_by_its_number(monkeypatch):
    monkeypatch.setattr(following.hub, "engine_ids", lambda _: {"master": range(2), "node001": range(2, 4)})
    context = SimpleNamespace(
        name="lab", make_cluster=lambda nodes: None, provider=SimpleNamespace(nodes=lambda name: [])
    )
    assert following.find_engine(context, 3) == "node001"
    with pytest.raises(UsageError, match="lab has no engine 9"):
        following.find_engine(context, 9)
