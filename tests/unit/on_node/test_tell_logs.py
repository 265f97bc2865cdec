"""Logs are followed through rotation, cuts and new files; who was cut off goes on where it was."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from clusterctl.node.programs import node_program
from clusterctl.on_node.system.seeing.tell_logs import Logs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "engine-0.log").write_text("a\nb\nc\n")
    (tmp_path / "controller-0.log").write_text("x\n")
    (tmp_path / "other.txt").write_text("never\n")
    return tmp_path


@pytest.fixture
def follow(folder):
    opened = []

    def follow(*about):
        opened.append(Logs(str(folder), *about))
        return opened[-1]

    yield follow
    for logs in opened:
        logs.close()


def told(logs):
    return [(name, line.decode()) for name, line, _ in logs.read()]


def add(path, text):
    with path.open("a") as file:
        file.write(text)


def test_the_last_lines_and_then_what_is_written(folder, follow):
    logs = follow("*", {}, 2)
    assert told(logs) == [("controller-0", "x"), ("engine-0", "b"), ("engine-0", "c")]
    add(folder / "engine-0.log", "d\nhal")
    assert told(logs) == [("engine-0", "d")]
    add(folder / "engine-0.log", "f\n")
    assert told(logs) == [("engine-0", "half")]


def test_none_of_what_is_there(folder, follow):
    assert told(follow("*", {}, 0)) == []


def test_only_what_fits_the_pattern_and_new_logs_from_their_beginning(folder, follow):
    logs = follow("engine-*", {}, 0)
    (folder / "engine-1.log").write_text("new\n")
    (folder / "late.log").write_text("no\n")
    assert told(logs) == [("engine-1", "new")]


def test_a_rotated_log_is_read_to_its_end(folder, follow):
    logs = follow("engine-*", {}, 0)
    add(folder / "engine-0.log", "last\n")
    (folder / "engine-0.log").rename(folder / "engine-0.log.1")
    assert told(logs) == [("engine-0", "last")]
    add(folder / "engine-0.log.1", "later\n")
    (folder / "engine-0.log").write_text("first\n")
    assert told(logs) == [("engine-0", "later"), ("engine-0", "first")]


def test_a_log_that_is_cut_off_begins_anew(folder, follow):
    logs = follow("engine-*", {}, 0)
    (folder / "engine-0.log").write_text("n\n")
    assert told(logs) == [("engine-0", "n")]


def test_who_was_cut_off_goes_on_where_it_was(folder, follow):
    positions = {name: at for name, _, at in follow("*", {}, 5).read()}
    add(folder / "engine-0.log", "d\n")
    assert told(follow("*", positions, 5)) == [("engine-0", "d")]
    (folder / "engine-0.log").unlink()
    add(folder / "new.log", "e\n")
    (folder / "engine-0.log").write_text("anew\n")
    assert told(follow("*", positions, 5)) == [("engine-0", "anew"), ("new", "e")]


def test_a_line_without_an_end_comes_in_pieces(folder, follow):
    logs = follow("engine-*", {}, 0)
    add(folder / "engine-0.log", "z" * 150_000)
    assert sum(len(line) for _, line in told(logs)) >= 65_536


def test_as_it_is_sent_it_ends_with_its_input(folder, allow_subprocess):
    values = {"folder": str(folder), "pattern": "engine-*", "positions": {}, "lines": 1}
    program = folder / "program.py"
    program.write_text(node_program("clusterctl.on_node.system.seeing.tell_logs", values))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-S", str(program)], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        said = json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stderr.read() == b""
    assert (said["log"], said["text"], said["at"][1]) == ("engine-0", "c", 6)
