"""What is lost with a master, and when it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.errors import ProviderError
from clusterctl.model import MASTER, Facet, Market, NodeSpec, Plan, Request
from clusterctl.operations.joining.losing import find_loss, refuse_homeless, tell_loss
from clusterctl.operations.start import start_cluster
from clusterctl.providers.outliving import KeptHome
from clusterctl.testing import FakeProvider

MACHINE = frozenset({Facet.MACHINE})
PLAN = Plan("lab", "fake", "ada", (NodeSpec(MASTER),), (), Request(), 1, 60, "")


class Keeping(FakeProvider):
    """A provider that keeps homes apart."""

    def find_home(self, cluster: str) -> KeptHome | None:
        return KeptHome(f"the volume of {cluster}")


@pytest.mark.parametrize(
    ("plan", "facets", "lost"),
    [
        (PLAN, MACHINE, True),
        (replace(PLAN, home_volume=True), MACHINE, False),
        (replace(PLAN, request=Request(homes_elsewhere=True)), MACHINE, False),
        (PLAN, MACHINE | {Facet.SHARED_HOME}, False),
    ],
)
def test_a_home_is_lost_unless_something_keeps_it(plan, facets, lost):
    assert bool(find_loss(plan, facets)) is lost


def test_a_provider_that_can_keep_no_home_is_refused():
    wanted = replace(PLAN, home_volume=True)
    with pytest.raises(ProviderError, match="the provider fake has no place for a home"):
        refuse_homeless(wanted, FakeProvider(facets=MACHINE))
    refuse_homeless(PLAN, FakeProvider(facets=MACHINE))
    refuse_homeless(wanted, Keeping(facets=MACHINE))
    refuse_homeless(wanted, FakeProvider(facets=MACHINE | {Facet.SHARED_HOME}))


class TestSaid:
    @pytest.fixture
    def world(self, lab):
        lab.provider.facets = frozenset({Facet.DIRECT, Facet.MACHINE})
        return lab

    def said(self, world, **options):
        del world.events[:]
        start_cluster(world.parts(cluster_size=2, **options))
        return [event.text for event in world.events if "master" in event.text.lower()]

    def lose(self, world):
        del world.provider.machines["lab", MASTER]

    def test_before_a_master_is_launched(self, world):
        first, *_ = self.said(world)
        assert first.startswith("If the master is ever lost, the home of ")
        assert first.endswith("HOME_VOLUME = yes keeps that")

    def test_not_again_while_it_is_there(self, world):
        self.said(world)
        assert not any("lost" in text for text in self.said(world))

    def test_what_was_lost_with_one_that_is_gone(self, world):
        self.said(world)
        self.lose(world)
        first, *_ = self.said(world)
        assert first.startswith("The master of lab is gone, and with it the home of ")

    def test_what_the_next_one_has_again(self, world):
        world.provider.__class__ = Keeping
        assert not any("lost" in text for text in self.said(world, home_volume=True))
        self.lose(world)
        assert "The master of lab is gone: another one gets its home, its ports and its keys" in self.said(
            world, home_volume=True
        )


def test_a_spot_master_is_warned_of(lab):
    lab.provider.facets = MACHINE
    plan = replace(PLAN, nodes=(NodeSpec(MASTER, market=Market.SPOT),))
    tell_loss(lab.parts(), plan, ())
    (warned,) = [event.text for event in lab.events]
    assert warned.startswith("The master is a spot instance: when it is taken, the home of ada")
