"""What a command does with standard streams that are closed, full, or read by nobody."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "clusterctl.cli.main"]
OPERATION = """
import sys
from clusterctl.cli import main as program
from clusterctl.cli.output import Output, show_json

class Stub:
    @staticmethod
    def main(**_):
        with Output(as_json=AS_JSON) as output:
            output.say("Ending nodes")
            output.answer_line({"ended": 1})
            output.warn("one was gone")
            open(sys.argv[1], "w").write("all of it is done")
        if AS_JSON:
            show_json({"ended": 2})

program.cli = Stub()
program.main()
"""
pytestmark = [
    pytest.mark.usefixtures("allow_subprocess"),
    pytest.mark.skipif(sys.platform == "win32", reason="windows: its shell has other words for this"),
]


def run(redirected, *words, code="", **about):
    """The outcome of a command line with streams that a shell has changed."""
    command = [*([sys.executable, "-c", code] if code else COMMAND), *words]
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirected}', "sh", *command], capture_output=True, text=True, timeout=60, **about
    )


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", "2>&- >&-"])
def test_streams_that_are_closed_are_no_fault(redirected):
    done = run(redirected, "--version")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["list", "--help"]])
def test_output_that_finds_no_room_is_told_in_plain_words(words):
    done = run(">/dev/full", *words)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: the output cannot be written: No space left on device",
        "try: free some space on its disk, or send it elsewhere",
    ]


def test_an_error_that_finds_no_room_keeps_its_status():
    assert run("2>/dev/full", "--nonsense").returncode == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_to_be_done_is_done_though_nobody_can_be_told(tmp_path, as_json):
    file = tmp_path / "done"
    done = run(">/dev/full", str(file), code=OPERATION.replace("AS_JSON", repr(as_json)))
    assert file.read_text() == "all of it is done"
    assert done.returncode == 1
    assert "error: the output cannot be written: No space left on device" in done.stderr
    assert "try: free some space on its disk, or send it elsewhere; what was to be done is done" in done.stderr
    assert "one was gone" in done.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_also_where_nobody_reads(tmp_path, as_json):
    file = tmp_path / "done"
    done = run("| true", str(file), code=OPERATION.replace("AS_JSON", repr(as_json)))
    assert file.read_text() == "all of it is done"
    assert "Error" not in done.stderr
    assert "bug" not in done.stderr


def test_where_all_is_well_nothing_changes(tmp_path):
    done = run("", str(tmp_path / "done"), code=OPERATION.replace("AS_JSON", "True"))
    assert done.returncode == 0
    answer, end = done.stdout.split("\n", 1)
    assert (json.loads(answer), json.loads(end)) == ({"ended": 1}, {"ended": 2})
    assert done.stderr.splitlines()[0] == ">>> Ending nodes"
