"""The one clock: deadlines and stopwatches, by a clock that tests move."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from clusterctl.clock import Deadline, Stopwatch, pause, utc_now
from clusterctl.testing import FakeClock


@pytest.fixture
def clock():
    with FakeClock().installed() as fake:
        yield fake


class TestDeadline:
    def test_it_has_time_left_until_it_is_over(self, clock):
        deadline = Deadline.after(10)
        clock.advance(4)
        assert (deadline.left_s, deadline.is_over) == (6, False)
        clock.advance(6)
        assert (deadline.left_s, deadline.is_over) == (0, True)
        clock.advance(100)
        assert (deadline.left_s, deadline.is_over) == (0, True)

    def test_one_of_no_seconds_is_over_at_once(self, clock):
        assert Deadline.after(0).is_over

    def test_the_earlier_one_is_the_lesser_one(self, clock):
        assert min(Deadline.after(2), Deadline.after(1)) == Deadline.after(1)

    def test_polls_look_at_once_then_after_each_pause_and_at_the_deadline(self, clock):
        assert [clock.passed_s for _ in Deadline.after(7).polls(3)] == [0, 3, 6, 7]

    def test_pauses_between_polls_grow_up_to_the_longest(self, clock):
        looks = [clock.passed_s for _ in Deadline.after(12).polls(2, longest_s=4)]
        assert looks == [0, 2, 5, 9, 12]

    def test_there_is_one_look_however_late_it_is(self, clock):
        assert [clock.passed_s for _ in Deadline.after(0).polls(3)] == [0]

    def test_a_look_that_takes_longer_than_the_rest_is_followed_by_a_last_one(self, clock):
        looks = []
        for _ in Deadline.after(5).polls(1):
            looks.append(clock.passed_s)
            clock.advance(10)
        assert looks == [0, 10]


class TestStopwatch:
    def test_it_measures_from_its_creation(self, clock):
        watch = Stopwatch()
        clock.advance(3)
        assert watch.elapsed_s == 3

    def test_a_pause_does_not_count(self, clock):
        watch = Stopwatch()
        clock.advance(1)
        with watch.paused():
            clock.advance(3600)
        clock.advance(1)
        assert watch.elapsed_s == 2


def test_a_pause_of_the_fake_clock_takes_no_time_and_moves_both_clocks(clock):
    before, watch = utc_now(), Stopwatch()
    pause(3600)
    assert (utc_now() - before, watch.elapsed_s) == (timedelta(hours=1), 3600)


def test_the_real_clock_is_back_afterwards_and_says_utc():
    with FakeClock(datetime(2020, 2, 2, tzinfo=timezone.utc)).installed():
        assert utc_now() == datetime(2020, 2, 2, tzinfo=timezone.utc)
    assert utc_now().year > 2020
    assert utc_now().tzinfo is timezone.utc
