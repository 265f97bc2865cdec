"""One object tells the user everything, and what shows it gets one event each."""

from __future__ import annotations

from clusterctl.events import SILENT, Event, EventKind, Narrator, Reporter


def test_each_way_to_tell_is_one_event():
    events = []
    reporter = Reporter(events.append)
    reporter.say("Starting")
    reporter.note("by the way")
    reporter.detail("a line")
    reporter.warn("careful")
    reporter.progress("Waiting", done=1, total=3, node="node001")
    assert events == [
        Event(EventKind.STEP, "Starting"),
        Event(EventKind.NOTE, "by the way"),
        Event(EventKind.DETAIL, "a line"),
        Event(EventKind.WARNING, "careful"),
        Event(EventKind.PROGRESS, "Waiting", node="node001", done=1, total=3),
    ]
    SILENT.warn("nobody hears it")


def test_a_narrator_prints_lines_as_a_start_does_and_nothing_that_a_terminal_obeys(capsys):
    narrator = Narrator()
    narrator.say("Starting \x1b[2J")
    narrator.detail("more")
    narrator.trace("Traceback")
    for done in range(4):
        narrator.progress("Waiting", done=done, total=3)
    narrator.warn("careful")
    said = capsys.readouterr()
    assert said.out == ">>> Starting \\x1b[2J\n    more\n>>> Waiting: 0/3\n>>> Waiting: 3/3\n"
    assert said.err == "*** WARNING - careful\n"
