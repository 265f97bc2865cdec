"""A pool tells the controller what waits with it, and takes it back."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from clusterctl.compute.engines.absence import Absence
from clusterctl.compute.engines.demand import DemandTeller, measure
from clusterctl.testing import FakeClock


def work(left, item_s=None, engines=None, done=0):
    return SimpleNamespace(left=left, seconds_an_item=item_s, engines=engines, done=done)


class Controller:
    def __init__(self):
        self.told, self.rates, self.status, self.is_closed, self.grows = [], [], "ok", False, False
        self.teller = DemandTeller(self.tell)

    def tell(self, demand):
        if self.is_closed:
            raise OSError("Connections have been closed.")
        self.told.append(demand["items"])
        self.rates.append(demand.get("rate"))
        asked = Future()
        asked.set_result({"content": {"status": self.status, "grows": self.grows}})
        return asked


@pytest.fixture
def controller():
    with FakeClock().installed() as clock:
        made = Controller()
        made.clock = clock
        yield made


def looks(controller, works, seconds):
    for _ in range(seconds * 2):
        controller.teller.look(works)
        controller.clock.advance(0.5)
    return controller.told


def test_a_short_map_tells_nothing(controller):
    looks(controller, [work(10)], 1)
    assert looks(controller, [], 1) == []


def test_a_long_one_tells_it_again_and_again_and_takes_it_back(controller):
    looks(controller, [work(10, 1.0)], 8)
    assert looks(controller, [], 2) == [10, 10, 0]


def test_that_nobody_knows_how_long_an_item_takes_is_soon_told_anew(controller):
    looks(controller, [work(10)], 4)
    assert looks(controller, [work(9, 1.0)], 4) == [10, 10, 9]


def test_a_controller_of_an_older_version_is_told_once(controller):
    controller.status = "error"
    assert looks(controller, [work(10)], 30) == [10]


def test_whether_somebody_adds_nodes_is_what_was_said_last(controller):
    looks(controller, [work(10, 1.0)], 3)
    assert not controller.teller.grows
    controller.grows = True
    looks(controller, [work(10, 1.0)], 6)
    assert controller.teller.grows
    controller.grows = "yes"
    looks(controller, [work(10, 1.0)], 6)
    assert not controller.teller.grows


class TestAbsence:
    @pytest.fixture
    def absence(self):
        self.engines = []
        with FakeClock().installed() as self.clock:
            yield Absence(SimpleNamespace(working=lambda: self.engines), 60.0)

    def waits(self, absence, seconds, *, grows):
        """Whether it still waits after so long."""
        assert absence.error(has_work=True, grows=grows) is None
        self.clock.advance(seconds)
        return absence.error(has_work=True, grows=grows) is None

    def test_without_a_watch_that_buys_it_ends_after_a_minute(self, absence):
        assert not self.waits(absence, 61, grows=False)

    def test_where_nodes_are_added_it_waits_for_one_to_come_but_not_for_ever(self, absence):
        assert self.waits(absence, 890, grows=True)
        self.clock.advance(11)
        assert "it adds nodes" in absence.error(has_work=True, grows=True).remedy

    def test_once_the_watch_is_gone_there_is_nothing_to_wait_for(self, absence):
        assert self.waits(absence, 200, grows=True)
        assert absence.error(has_work=True, grows=False) is not None

    def test_an_engine_that_comes_ends_the_wait(self, absence):
        assert self.waits(absence, 59, grows=False)
        self.engines = ["an engine"]
        assert absence.error(has_work=True, grows=False) is None
        self.engines = []
        assert self.waits(absence, 59, grows=False)


def test_what_is_done_in_a_second_is_told_of_all_maps_and_of_those_that_end_meanwhile(controller):
    long, short = work(100, 1.0), work(10, 1.0)
    looks(controller, [long, short], 1)
    long.done = 8
    looks(controller, [long, short], 1)
    assert controller.rates == [8.0], "in the first second"
    short.done, long.done = 10, 18
    looks(controller, [long], 5)
    assert controller.rates == [8.0, 4.0]


def test_a_client_that_closes_is_survived(controller):
    controller.is_closed = True
    assert looks(controller, [work(10)], 10) == []


class TestTheEndOfAClient:
    def test_takes_back_what_was_told_and_nothing_comes_behind_that(self, controller):
        works = [work(10, 1.0)]
        looks(controller, works, 2)
        assert controller.teller.withdraw().done()
        assert controller.told == [10, 0]
        assert controller.teller.withdraw().done()
        assert looks(controller, works, 30) == [10, 0]
        assert looks(controller, [], 2) == [10, 0]

    def test_says_which_word_the_controller_may_not_have_heard_where_the_map_is_over(self, controller):
        looks(controller, [work(10, 1.0)], 2)
        looks(controller, [], 1)
        assert controller.teller.withdraw() is not None
        assert controller.told == [10, 0]

    def test_has_nothing_to_take_back_of_a_short_map(self, controller):
        looks(controller, [work(10)], 1)
        assert controller.teller.withdraw() is None
        assert controller.told == []

    def test_is_survived_without_a_connection(self, controller):
        looks(controller, [work(10, 1.0)], 2)
        controller.is_closed = True
        assert controller.teller.withdraw().done()


@pytest.mark.parametrize(
    ("works", "items", "item_s", "engines"),
    [
        ([work(1000, 2.0)], 1000, 2.0, 1000),
        ([work(1000)], 1000, 0.0, 1000),
        ([work(1000, 2.0, engines=4)], 1000, 2.0, 4),
        ([work(30, 1.0), work(10, 5.0), work(60)], 100, 2.0, 100),
    ],
)
def test_what_waits_is_counted(works, items, item_s, engines):
    said = measure(works)
    assert (said["items"], said["item_s"], said["engines"]) == (items, item_s, engines)
