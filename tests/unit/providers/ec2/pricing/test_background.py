"""Calls that nobody waits for too long."""

from __future__ import annotations

import threading

import pytest

from clusterctl.clock import Deadline
from clusterctl.errors import DeadlineError, ProviderError
from clusterctl.providers.ec2.pricing.background import DeadlineCall

SOON = 60.0


def fail():
    raise ProviderError("no", remedy="yes")


def test_what_the_call_brought():
    assert DeadlineCall("numbers", lambda: 7, deadline=Deadline.after(SOON)).result() == 7


def test_what_it_raised_is_raised_where_it_is_asked_for():
    errand = DeadlineCall("numbers", fail, deadline=Deadline.after(SOON))
    with pytest.raises(ProviderError, match="no"):
        errand.result()


def test_two_run_side_by_side():
    meet = threading.Barrier(2, timeout=SOON)
    both = [DeadlineCall("numbers", meet.wait, deadline=Deadline.after(SOON)) for _ in range(2)]
    assert sorted(errand.result() for errand in both) == [0, 1]


def test_one_that_takes_too_long_is_given_up():
    never = threading.Event()
    errand = DeadlineCall("numbers", lambda: never.wait(SOON), deadline=Deadline.after(0))
    with pytest.raises(DeadlineError, match="in time"):
        errand.result()
    never.set()


def test_something_else_in_its_place_with_a_word_on_why():
    said = []
    errand = DeadlineCall("numbers", fail, deadline=Deadline.after(SOON))
    assert errand.result_or(3, said.append) == 3
    assert said == ["numbers are not known: no"]


def test_a_bug_is_not_hidden():
    errand = DeadlineCall("numbers", lambda: {}["x"], deadline=Deadline.after(SOON))
    with pytest.raises(KeyError):
        errand.result_or(3, [].append)
