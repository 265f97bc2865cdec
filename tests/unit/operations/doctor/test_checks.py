"""Checks run side by side, each within its limit, and an error of one is a finding."""

from __future__ import annotations

import threading

import pytest

from clusterctl.errors import DeadlineError, ProviderError
from clusterctl.operations.doctor.checks import Check, Finding, Outcome, run_checks, within


def ok(place):
    return Check(place, "answers", place, lambda: [Finding(place, "answers", Outcome.OK, "yes")])


@pytest.fixture
def never():
    """What does not come before the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_findings_are_in_the_order_of_the_checks():
    names = [f"node{number}" for number in range(100)]
    assert [finding.place for finding in run_checks(map(ok, names))] == names
    assert run_checks([]) == []


def test_one_that_never_ends_fails_by_name_and_holds_up_no_other(never):
    stuck = Check("node001", "answers", "node001 at 10.0.0.1", never.wait, limit_s=0, remedy="restart it")
    first, second = run_checks([stuck, ok("node002")])
    assert (first.place, first.item, first.outcome, first.remedy) == (
        "node001",
        "answers",
        Outcome.FAILED,
        "restart it",
    )
    assert first.detail == "no answer within 0 s: waited for node001 at 10.0.0.1"
    assert second.outcome == Outcome.OK


def test_checks_run_side_by_side():
    both = threading.Barrier(2)

    def look():
        both.wait(30)
        return [Finding("a", "met", Outcome.OK, "")]

    assert len(run_checks([Check("a", "met", "the other", look), Check("b", "met", "the other", look)])) == 2


def test_an_error_for_the_user_is_a_failure_with_its_remedy():
    def look():
        raise ProviderError("no engine", remedy="start it")

    assert run_checks([Check("provider", "plan", "it", look)]) == [
        Finding("provider", "plan", Outcome.FAILED, "no engine", "start it")
    ]


def test_a_fault_of_ours_is_no_finding():
    def look():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_checks([Check("provider", "plan", "it", look)])


def test_a_call_within_its_limit_returns_what_it_returns(never):
    assert within(30, "it", lambda: 7, remedy="none") == 7
    with pytest.raises(DeadlineError, match="waited for it"):
        within(0, "it", never.wait, remedy="none")
