"""What an engine that has died leaves to its nanny."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clusterctl.on_node.with_ipyparallel.patches import last_words

PROGRAM = """
import os, sys
from clusterctl.on_node.with_ipyparallel.patches.last_words import LastWords

def work():
    {act}

words = LastWords({log!r})
engine = os.fork()
if not engine:
    words.keep()
    work()
    os._exit(0)
os.waitpid(engine, 0)
print(words.read())
words.log()
"""


@pytest.fixture
def end(allow_subprocess):
    """What the nanny of an engine that has done this says, and what is in its log."""

    def run(act, log=""):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(act=act, log=str(log))], capture_output=True, text=True, check=True
        )
        return done.stdout.strip(), done.stderr

    return run


@pytest.mark.parametrize(
    ("act", "begins"),
    [
        ("os.abort()", "Fatal Python error: Aborted; File"),
        ("os.kill(os.getpid(), 11)", "Fatal Python error: Segmentation fault; File"),
    ],
)
def test_a_signal_is_told_with_the_line_where_it_came_and_stands_in_the_log(end, act, begins):
    told, log = end(act)
    assert told.startswith(begins)
    assert " in work; " in told
    assert "(most recent call first)" in log


def test_where_the_output_ends_with_the_engine_the_words_are_told_and_stand_in_its_log(end, tmp_path):
    log = tmp_path / "engine-0.log"
    log.write_text("before\n")
    told, output = end("os.abort()", log)
    assert told.startswith("Fatal Python error: Aborted; File")
    assert output == ""
    assert log.read_text().startswith("before\nFatal Python error: Aborted\n")


def test_a_log_that_another_user_writes_has_them_by_the_output(end, tmp_path):
    told, output = end("os.abort()", tmp_path / "missing" / "engine-0.log")
    assert told.startswith("Fatal Python error: Aborted; File")
    assert output.startswith("Fatal Python error: Aborted\n")


def test_an_output_that_nobody_takes_keeps_nothing_back(allow_subprocess):
    read, write = os.pipe()
    os.close(read)
    program = [sys.executable, "-c", PROGRAM.format(act="os.abort()", log="")]
    done = subprocess.run(program, stdout=subprocess.PIPE, stderr=write, text=True, check=True)
    os.close(write)
    assert done.stdout.startswith("Fatal Python error: Aborted; File")


@pytest.mark.parametrize("act", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.fork() or os.abort(); os.wait()"])
def test_of_what_leaves_no_trace_nothing_is_told(end, act):
    assert end(act) == ("", "")


def test_the_kernel_tells_that_memory_was_short(monkeypatch):
    counts = iter([2, 3])
    monkeypatch.setattr(last_words, "_count_kills", lambda: next(counts))
    assert last_words.LastWords().read() == "the kernel has ended a process for want of memory"


def test_where_nobody_counts_nothing_is_told(monkeypatch, tmp_path):
    class Nowhere:
        def __new__(cls, *_):
            return tmp_path / "missing"

    monkeypatch.setattr(last_words, "Path", Nowhere)
    assert last_words.LastWords().read() == ""
