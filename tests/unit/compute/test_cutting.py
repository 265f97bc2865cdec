"""How items are cut: nothing is left out, nothing goes out twice, and work that takes long stays movable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.compute.cutting import DEPTH, FIRST_BUDGET_S, MOST_DEPTH, Pace, Pending, RoundTrip


@given(
    count=st.integers(0, 200),
    steps=st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
)
def test_whatever_is_taken_and_given_back_each_place_is_done_once(count, steps):
    pending, done = Pending(count), []
    turn = 0
    while pending:
        size, share, alone = steps[turn % len(steps)]
        turn += 1
        taken = pending.take(size)
        assert 1 <= len(taken) <= size
        keep = len(taken) if turn > 500 else max(1, round(len(taken) * share)) if not alone or len(taken) == 1 else 0
        done += taken[:keep]
        pending.give_back(taken[keep:], alone=alone and keep == 0)
    assert sorted(done) == list(range(count))
    assert len(pending) == 0


def test_what_is_suspect_goes_out_alone():
    pending = Pending(10)
    pending.give_back(pending.take(4), alone=True)
    assert [list(pending.take(5)) for _ in range(5)] == [[0], [1], [2], [3], [4, 5, 6, 7, 8]]


def test_new_places_come_last():
    pending = Pending(2)
    pending.add(range(2, 3))
    pending.add(range(7, 9))
    assert [list(pending.take(9)), list(pending.take(9))] == [[0, 1, 2], [7, 8]]


def size_of(pace, count, room, start=0):
    pending = Pending()
    pending.add(range(start, start + count))
    return pace.size(pending, room, pace.budget_s())


class TestPace:
    def test_at_first_each_engine_gets_its_share_for_a_short_while(self):
        pace = Pace(engines=4)
        assert (size_of(pace, 1000, room=4), pace.budget_s(Pending(1000)), pace.depth) == (250, FIRST_BUDGET_S, 1)

    def test_so_many_chunks_as_engines_would_take_are_cut_alike(self):
        pace, pending = Pace(engines=4), Pending(1000)
        assert [len(pending.take(pace.size(pending, room, 0.02))) for room in (4, 3, 2, 1)] == [250] * 4

    def test_quick_items_go_out_many_at_once_and_one_chunk_ahead(self):
        pace = Pace(engines=4)
        pace.learn(100, 0.001)
        assert (pace.depth, size_of(pace, 80_000, room=8)) == (DEPTH, 10_000)
        assert size_of(pace, 100_000_000, room=8) <= pace.budget_s() / pace.seconds_an_item

    def test_slow_ones_go_out_one_by_one_and_none_waits_behind_another(self):
        pace = Pace(engines=4)
        pace.learn(1, 3600.0)
        assert (pace.depth, size_of(pace, 1000, room=4)) == (1, 1)

    def test_so_little_work_that_a_message_costs_more_is_not_cut(self):
        pace = Pace(engines=4)
        pace.learn(100, 0.001)
        assert size_of(pace, 50, room=8) >= 50

    def test_the_less_is_left_the_shorter_are_the_chunks(self):
        pace = Pace(engines=4)
        pace.learn(100, 0.1)
        budgets = [pace.budget_s(pending and Pending(pending)) for pending in (None, 10_000, 400, 200, 10)]
        assert budgets == pytest.approx([0.1, 0.1, 0.4 / 6, 0.2 / 6, 0.02])

    def test_a_part_of_what_is_left_goes_where_it_is_needed(self):
        pace = Pace(engines=4)
        pace.learn(100, 0.1)
        pending = Pending(400)
        for room in range(pace.depth * 4, 0, -1):
            pending.take(pace.size(pending, room, pace.budget_s(pending)))
        assert 50 <= len(pending) <= 200

    def test_items_beside_each_other_are_taken_to_be_alike(self):
        pace = Pace(engines=4)
        pace.learn(2, 0.08, place=0)
        pace.learn(50, 0.05, place=100)
        pace.learn(1, 0.04, place=2)
        assert size_of(pace, 10_000, room=8, start=3) == 2
        assert size_of(pace, 10_000, room=8, start=150) == 100

    def test_what_takes_long_lies_in_one_part_and_does_not_count_for_the_others(self):
        pace = Pace(engines=4)
        pace.learn(1, 10.0, place=0)
        pace.learn(10, 0.01, place=500)
        pending = Pending()
        pending.add(range(600, 680))
        assert pace.budget_s(pending) == pytest.approx(0.02)

    def test_the_newest_chunks_count_most(self):
        pace = Pace(engines=4)
        pace.learn(1, 1.0)
        for _ in range(10):
            pace.learn(1000, 1.0)
        assert pace.seconds_an_item < 0.005

    def test_an_engine_that_did_nothing_teaches_nothing(self):
        pace = Pace(engines=4)
        pace.learn(0, 5.0)
        assert pace.seconds_an_item is None

    def test_many_engines_get_longer_budgets_since_one_controller_serves_all(self):
        pace = Pace(engines=500)
        pace.learn(1, 0.001)
        assert pace.budget_s() == pace.budget_s(Pending(1)) == 0.5


class TestFarAway:
    @pytest.mark.parametrize("round_trip_s", [0.0, 0.003, 0.08, 0.4, 1.0])
    @pytest.mark.parametrize("item_s", [1e-6, 0.001, 0.01, 0.2])
    @pytest.mark.parametrize("most", [None, 1, 20])
    def test_an_engine_has_work_for_as_long_as_the_next_chunk_is_on_its_way(self, round_trip_s, item_s, most):
        way = RoundTrip()
        way.learn(round_trip_s)
        pace = Pace(6, way, most=most)
        pace.learn(1000, 1000 * item_s)
        chunk_s = size_of(pace, 10**9, room=12) * item_s
        is_far_shorter = round_trip_s <= item_s / 50
        assert (pace.depth - 1) * chunk_s >= round_trip_s or pace.depth == MOST_DEPTH or is_far_shorter

    def test_nobody_waits_behind_an_item_that_takes_much_longer_than_the_way(self):
        way = RoundTrip()
        way.learn(0.08)
        pace = Pace(6, way)
        pace.learn(1, 10.0)
        assert pace.depth == 1

    def test_what_is_shorter_than_the_way_is_shared_out_and_not_cut_again(self):
        way = RoundTrip()
        way.learn(0.08)
        pace = Pace(6, way)
        pace.learn(100, 1.0)
        assert pace.budget_s() == pytest.approx(0.12)
        budgets = [pace.budget_s(Pending(count)) for count in (1000, 90, 60, 30, 6)]
        assert budgets == pytest.approx([0.12, 0.12, 0.1, 0.05, 0.02])

    def test_the_shortest_of_the_newest_ways_counts(self):
        way = RoundTrip()
        assert way.seconds == 0
        for seconds in (30.0, 0.09, 0.08, 0.5):
            way.learn(seconds)
        assert way.seconds == 0.08
        for _ in range(20):
            way.learn(0.2)
        assert way.seconds == 0.2

    def test_what_was_measured_far_too_long_was_no_way(self):
        way = RoundTrip()
        way.learn(3600.0)
        assert way.seconds <= 1.0
