"""One object tells the user everything, and what shows it gets one event each."""

from __future__ import annotations

from clusterctl.events import SILENT, Event, EventKind, Reporter


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
