"""What tasks print comes in whole lines, with the engine in front."""

from __future__ import annotations

import contextvars
import threading

import pytest

from clusterctl.compute.calls.prints import Prints, write_line


@pytest.fixture
def shown():
    prints = Prints(wanted=True)
    lines = []
    prints.write = lambda line, stream: lines.append((stream, line))
    return prints, lines


def test_lines_of_several_engines_are_not_mixed(shown):
    prints, lines = shown
    prints.take(0, "stdout", "one ")
    prints.take(1, "stdout", "uno\ndos")
    prints.take(0, "stderr", "oh\n")
    prints.take(0, "stdout", "two\nthree\n")
    assert lines == [
        ("stdout", "[stdout:1] uno"),
        ("stderr", "[stderr:0] oh"),
        ("stdout", "[stdout:0] one two"),
        ("stdout", "[stdout:0] three"),
    ]
    prints.end()
    assert lines[-1] == ("stdout", "[stdout:1] dos")


def test_what_comes_late_is_shown_too(shown):
    prints, lines = shown
    prints.end()
    prints.take(0, "stdout", "late")
    assert lines == [("stdout", "[stdout:0] late")]


def test_of_what_was_written_over_the_last_is_shown(shown):
    prints, lines = shown
    prints.take(0, "stderr", "10%\r20%\r100%\r\n")
    assert lines == [("stderr", "[stderr:0] 100%")]


def test_a_line_without_an_end_does_not_grow_without_end(shown):
    prints, lines = shown
    for _ in range(3):
        prints.take(0, "stdout", "x" * 60_000)
    assert [len(line) for _, line in lines] == [120_011]


def test_nothing_where_it_is_not_wanted(capsys):
    prints = Prints(wanted=False)
    prints.take(0, "stdout", "one\n")
    prints.end()
    assert capsys.readouterr() == ("", "")


def test_it_goes_where_this_pythons_own_output_goes(capsys):
    prints = Prints(wanted=True)
    prints.take(3, "stdout", "one\n")
    prints.take(3, "stderr", "two\n")
    assert capsys.readouterr() == ("[stdout:3] one\n", "[stderr:3] two\n")


def test_a_notebook_shows_it_below_the_cell_that_began_the_map():
    cell = contextvars.ContextVar("cell", default=0)
    cell.set(3)
    prints, seen = Prints(wanted=True), []
    prints.write = lambda line, _: seen.append((cell.get(), line))
    cell.set(4)
    other = threading.Thread(target=prints.take, args=(0, "stdout", "late\n"))
    other.start()
    other.join()
    assert seen == [(3, "[stdout:0] late")]


def test_nobody_who_reads_is_no_error(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    write_line("one", "stdout")
