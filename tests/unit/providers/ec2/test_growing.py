"""A cluster on EC2 grows by what waits, as far as SCALE_MAX and MAX_COST let it, and what is idle ends."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from clusterctl import hub
from clusterctl.config import loading as config
from clusterctl.events import Reporter
from clusterctl.hub import Demand, EngineLoad, Load
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Market
from clusterctl.operations.context import RunContext
from clusterctl.operations.start import start_cluster
from clusterctl.operations.watching import growth_acts
from clusterctl.operations.watching.deciding import Act
from clusterctl.operations.watching.loop import Watch
from clusterctl.plugin.host import PluginHost
from clusterctl.testing import FakeClock, FakeConnector

from ....support.ec2_lab import hurry

pytestmark = pytest.mark.slow
FACTS = f"id 0\ninit systemd\npython 3.11\nkernel Linux\ncores 2\nhost_key {new_key_pair('')[1]}\n"
WAITS = (Demand(10_000, 100.0, 0),)


@pytest.fixture
def clock(lab, cloud, monkeypatch):
    """A clock for the program and the cloud that only the test moves."""
    hurry(monkeypatch)
    with FakeClock(datetime.now(timezone.utc).replace(microsecond=0)).installed() as clock:
        cloud.follow(clock.time)
        yield clock


class Growing:
    """A cluster of one node, and a watch over it. Nobody logs in to its instances: they have no bodies."""

    def __init__(self, lab, clock, monkeypatch, **options):
        self.lab, self.clock, self.demands, self.told = lab, clock, (), []
        self.options = {"cluster_size": "1", "scale_down_after": "60s", "node_image_id": "debian-12", **options}
        self.options |= {"provider": "ec2", "cluster_user": "me", "plugins": "", "address": "private"}
        self.options |= {"node_instance_type": "c7i.large", "allow_from": "192.0.2.7/32", "tunnel": "never"}
        monkeypatch.setattr(hub, "ask_load", self.ask_load)
        monkeypatch.setattr(hub, "engine_ids", lambda cluster: self.ids([node.alias for node in cluster.nodes]))
        monkeypatch.setattr(growth_acts, "ask_who_works", lambda *_: "")
        start_cluster(self.context())
        self.watch = Watch(self.context, self.context, self.told.append)

    def context(self):
        return RunContext(
            name="lab",
            settings=config.read_config(None, overrides=self.options, environ={}, find_plugin=lambda *_: None),
            provider=self.lab.provider(),
            plugin_host=PluginHost(()),
            folder=self.lab.journal("lab"),
            connector=FakeConnector({"facts": FACTS}),
            report=Reporter(lambda _: None),
            overrides=self.options,
        )

    @staticmethod
    def ids(aliases):
        numbers = {alias: 0 if alias == "master" else int(alias.removeprefix("node")) for alias in aliases}
        return {alias: range(number, number + 1) for alias, number in numbers.items()}

    def ask_load(self, cluster, *, drain=(), give_back=()):
        numbers = [number for ids in self.ids([node.alias for node in cluster.nodes]).values() for number in ids]
        return Load(answered=True, engines={number: EngineLoad(0, 0) for number in numbers}, demands=self.demands)

    def looks(self, count):
        for _ in range(count):
            self.watch.look()
            self.clock.advance(20)

    def size(self):
        return len(self.lab.instances("pending", "running"))

    def reasons(self, act):
        return [outcome.decision.reason for outcome in self.told if outcome.decision.act == act]


def test_it_buys_up_to_scale_max_of_what_the_template_says_and_ends_what_is_idle(lab, cloud, clock, monkeypatch):
    world = Growing(lab, clock, monkeypatch, scale_max="4", spot_bid="0.10")
    world.demands = WAITS
    world.looks(4)
    assert world.size() == 4
    markets = sorted(node.market for node in lab.provider().nodes("lab"))
    assert markets == [Market.ON_DEMAND, Market.SPOT, Market.SPOT, Market.SPOT]
    assert "SCALE_MAX for 4" in world.reasons(Act.GROW)[0]
    world.demands = ()
    world.looks(8)
    assert world.size() == 1
    lab.provider().destroy("lab")
    assert cloud.left() == []


def test_it_buys_only_what_max_cost_pays_for_an_hour(lab, cloud, clock, monkeypatch):
    world = Growing(lab, clock, monkeypatch, scale_max="9", max_cost="0.33")
    world.demands = WAITS
    world.looks(4)
    assert world.size() == 3
    assert "MAX_COST has room for 3" in world.reasons(Act.GROW)[0]
    world.looks(10)
    assert world.size() == 3
    assert world.reasons(Act.NOTE) == ["more nodes would have work, and MAX_COST has no room for them"]


def test_a_cloud_without_capacity_is_asked_again(lab, cloud, clock, monkeypatch):
    world = Growing(lab, clock, monkeypatch, scale_max="3")
    for zone in "abcdef":
        cloud.capacity["*", f"us-east-1{zone}", "on-demand"] = 0
    world.demands = WAITS
    world.looks(4)
    assert world.size() == 1
    assert lab.journal("lab").wanted_nodes() == ("master",)
    for zone in "abcdef":
        cloud.capacity["*", f"us-east-1{zone}", "on-demand"] = 9
    world.looks(40)
    assert world.size() == 3
