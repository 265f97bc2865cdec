"""Nothing that costs money is made before whoever pays has said yes."""

from __future__ import annotations

import pytest

from clusterctl.errors import UsageError
from clusterctl.operations.cost import estimate_cost
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.plan import make_plan
from clusterctl.operations.start import start_cluster
from clusterctl.operations.timing import StepTimer
from clusterctl.testing import FakeClock

from ...support.approval import Asked, Refusing
from ...support.priced import PricedProvider


@pytest.fixture
def priced(lab):
    lab.provider = PricedProvider()
    return lab


class TestStart:
    def test_whoever_pays_is_asked_before_anything_is_made(self, priced):
        with pytest.raises(UsageError):
            start_cluster(priced.parts(cluster_size=3), approval=Refusing())
        assert priced.provider.estimated == [["master", "node001", "node002"]]
        assert not any(call.startswith("create") for call in priced.provider.calls)
        assert not priced.parts().folder.exists

    def test_and_once_only(self, priced):
        asked = Asked()
        assert start_cluster(priced.parts(cluster_size=3), approval=asked).ok
        assert [estimate.groups[0].count for estimate in asked.estimates] == [3]
        assert start_cluster(priced.parts(cluster_size=3), approval=Refusing()).ok

    def test_only_what_is_missing_is_bought(self, priced):
        asked = Asked()
        start_cluster(priced.parts(cluster_size=3), approval=asked)
        priced.provider.destroy("lab", ["node002"])
        start_cluster(priced.parts(cluster_size=3), approval=asked)
        assert priced.provider.estimated[1:] == [["node002"]]

    def test_whoever_is_not_to_be_asked_waits_for_no_prices(self, priced):
        assert start_cluster(priced.parts(cluster_size=2)).ok
        assert priced.provider.estimated == []

    def test_nodes_that_cost_nothing_are_not_asked_about(self, lab):
        assert start_cluster(lab.parts(cluster_size=2), approval=Refusing()).ok


class TestAddNodes:
    def test_the_new_ones_are_asked_about(self, priced):
        parts = priced.parts(cluster_size=2)
        start_cluster(parts)
        with pytest.raises(UsageError):
            add_nodes(parts, [], 2, approval=Refusing())
        assert priced.provider.estimated == [["node002", "node003"]]
        assert len(priced.provider.nodes("lab")) == 2
        assert parts.folder.wanted_nodes() == ("master", "node001")


class TestQuote:
    def test_a_plan_alone_is_quoted_too(self, priced):
        parts = priced.parts(cluster_size=2)
        assert estimate_cost(parts, make_plan(parts, ("master", "node001"))).groups[0].count == 2

    def test_none_where_nothing_is_missing(self, priced):
        parts = priced.parts(cluster_size=2)
        start_cluster(parts)
        assert estimate_cost(parts, make_plan(parts, ("master", "node001"))) is None


class TestClock:
    def test_it_stands_still_while_somebody_thinks(self):
        with FakeClock().installed() as clock:
            timer = StepTimer()
            with timer.time_step("plan"):
                clock.advance(2)
                with timer.pause_timer():
                    clock.advance(3600)
                clock.advance(1)
            assert timer.elapsed_s() == 3
        (step,) = timer.steps
        assert (step.plugin, step.began_s, step.ended_s) == ("plan", 0, 3)
