"""How things look."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import click
import pytest

from clusterctl.cli import output as output_module
from clusterctl.cli.main import GlobalOptions
from clusterctl.cli.needed import line_with
from clusterctl.cli.output import Output, confirm_or_decline, show_json, show_table
from clusterctl.errors import DeclinedError, UsageError
from clusterctl.secret import Secret
from clusterctl.testing import FakeClock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_steps_and_notes_are_lines_and_warnings_go_to_stderr(capsys):
    with Output() as show:
        show.say("Starting")
        show.note("by the way")
        show.detail("of a program")
        show.warn("careful")
    said = capsys.readouterr()
    assert said.out == ">>> Starting\n>>> by the way\n    of a program\n"
    assert said.err == "*** WARNING - careful\n"


ESCAPE = "\x1b]0;owned\x07[b]"
SHOWN = r"\x1b]0;owned\x07[b]"


def test_what_a_node_says_is_shown_and_not_obeyed(capsys):
    with Output() as show:
        for tell in (show.say, show.note, show.detail, show.warn):
            tell(ESCAPE)
        show.progress(ESCAPE, done=1, total=1)
    show_table([ESCAPE], [[ESCAPE]])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert (said.out + said.err).count(SHOWN) == 7


def test_nor_is_it_beside_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with Output() as show:
        show.progress(ESCAPE, done=1, total=3)
        show.warn(ESCAPE)
    assert "\x1b]0" not in terminal.getvalue()
    assert terminal.getvalue().count(SHOWN) >= 2


def test_json_keeps_what_a_node_said(capsys):
    show_json({"name": ESCAPE})
    assert json.loads(capsys.readouterr().out) == {"name": ESCAPE}


def test_with_json_stdout_holds_nothing_but_the_answer(capsys):
    with Output(as_json=True) as show:
        show.say("Starting")
        show.progress("Waiting", done=3, total=3)
    said = capsys.readouterr()
    assert said.out == ""
    assert ">>> Starting" in said.err


def test_progress_elsewhere_is_a_line_every_few_seconds_and_the_last(capsys):
    with FakeClock().installed() as clock, Output() as show:
        for done in (1, 2, 3):
            show.progress("Waiting", done=done, total=5)
        clock.advance(6)
        show.progress("Waiting", done=4, total=5)
        show.progress("Waiting", done=5, total=5)
    assert capsys.readouterr().out == ">>> Waiting: 1/5\n>>> Waiting: 4/5\n>>> Waiting: 5/5\n"


def test_progress_on_a_terminal_is_a_bar_and_ends_with_the_operation(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with Output() as show:
        show.progress("Waiting", done=1, total=3)
        show.warn("[careful]")
        show.progress("Waiting", done=3, total=3)
    text = terminal.getvalue()
    assert ">>> Waiting" in text
    assert "3/3" in text
    assert "[careful]" in text


def test_json_says_everything_and_reveals_to_its_owner(capsys):
    show_json({"url": Secret("http://x?token=t"), "path": output_module.sys, "n": 1})
    assert json.loads(capsys.readouterr().out)["url"] == "http://x?token=t"


def test_a_table_is_aligned_and_has_one_line_a_row(capsys):
    show_table(("NODE", "STATE"), [("master", "running"), ("x", "")])
    assert capsys.readouterr().out == "NODE    STATE\nmaster  running\nx\n"
    show_table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


class TestConfirm:
    def test_yes_asks_nobody(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        confirm_or_decline("Sure?", yes=True)

    def test_nobody_there_is_an_error_that_says_how_to_say_so(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        monkeypatch.setattr(sys, "argv", ["clusterctl", "terminate", "lab"])
        with pytest.raises(UsageError, match="--yes") as caught:
            confirm_or_decline("Sure?", yes=False)
        assert "terminate" in caught.value.remedy
        with (
            click.Context(click.Command("terminate"), info_name="clusterctl") as root,
            click.Context(click.Command("terminate"), parent=root, info_name="terminate"),
        ):
            assert line_with("--yes") == "`clusterctl terminate --yes lab`"

    @pytest.mark.parametrize(("typed", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False)])
    def test_a_person_is_asked(self, monkeypatch, typed, goes_on):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        if goes_on:
            confirm_or_decline("Sure?", yes=False)
        else:
            with pytest.raises(DeclinedError, match="nothing was changed"):
                confirm_or_decline("Sure?", yes=False)


PRINTING = """
import os
from clusterctl.cli.output import Output, show_json
with Output(as_json=True):
    print("by a plugin", flush=True)
    os.write(1, b"by a program that it started\\n")
show_json({"ok": True})
"""


def test_what_a_plugin_prints_does_not_get_into_the_answer(allow_subprocess):
    said = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == {"ok": True}
    assert said.stderr == "by a plugin\nby a program that it started\n"


def test_nor_where_stdout_is_no_file(capsys):
    with Output(as_json=True):
        print("by a plugin")
    show_json({"ok": True})
    said = capsys.readouterr()
    assert (json.loads(said.out), said.err) == ({"ok": True}, "by a plugin\n")


@pytest.mark.parametrize("debug", [True, False])
def test_the_traceback_of_a_plugin_is_for_who_asked(debug, capsys):
    @click.command()
    @click.pass_context
    def command(ctx):
        ctx.obj = GlobalOptions(debug=debug)
        with Output() as show:
            show.trace("plugin mine: clusterctl_join failed\nTraceback: ...")

    command.main([], standalone_mode=False)
    assert ("Traceback" in capsys.readouterr().err) == debug
