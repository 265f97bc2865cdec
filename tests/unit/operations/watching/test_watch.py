"""A watch acts on what it sees, and looks again before it changes anything."""

from __future__ import annotations

import pytest

from clusterctl.api import StatusRow, hookimpl
from clusterctl.errors import ProviderError, StateError
from clusterctl.laptop.lock_files import hold
from clusterctl.model import Facet, NodeOverrides
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.leave import terminate_cluster
from clusterctl.operations.start import start_cluster
from clusterctl.operations.watching.acting import act_on
from clusterctl.operations.watching.deciding import Act, Decision
from clusterctl.operations.watching.loop import WATCH_FILE, Watch
from clusterctl.plugin.host import PluginHost
from clusterctl.testing import FakeClock

from ....support.recording import KilledError, of, recording

DOOMED = {"node001": "will be taken at 10:00:00Z"}


@pytest.fixture
def world(lab, log):
    """A cluster of three nodes that runs, and a watch over it."""
    return World(lab, log)


class World:
    def __init__(self, lab, log):
        self.lab, self.log, self.told = lab, log, []
        self.doomed, self.faults = {}, {}
        start_cluster(self.context(cluster_size=3))

    def context(self, **options):
        plugins = recording(self.log, **self.faults)

        def status(_plugin, cluster):
            rows = [StatusRow(node.alias, "b", "fine") for node in cluster.nodes]
            dooms = [(alias, text) for alias, text in self.doomed.items() if alias in {n.alias for n in cluster.nodes}]
            return [*rows, *(StatusRow(alias, "b", text, healthy=False, ends=True) for alias, text in dooms)]

        plugins["b"].clusterctl_status = hookimpl(status)
        return self.lab.parts(plugins, **options)

    def watch(self, **options):
        return Watch(self.context, self.context, self.told.append, **options)

    def take(self, alias):
        """End a node's machine."""
        del self.lab.provider.machines["lab", alias]

    def running(self):
        return [node.alias for node in self.lab.provider.nodes("lab")]

    def said(self):
        """What was told: what was done, of which node, and how it ended."""
        return [
            (outcome.decision.act, outcome.decision.node, "failed" if outcome.error else "done")
            for outcome in self.told
            if outcome.seconds is not None
        ]


class TestLoop:
    @pytest.fixture(autouse=True)
    def clock(self):
        with FakeClock().installed() as clock:
            yield clock

    def test_a_whole_cluster_is_left_alone(self, world):
        del world.log[:]
        assert world.watch().run(15, once=True)
        assert (world.told, of(world.log, "join")) == ([], [])

    def test_a_node_that_is_lost_comes_back_and_joins(self, world):
        world.take("node002")
        assert world.watch().run(15, once=True)
        assert world.said() == [(Act.BRING_BACK, "node002", "done")]
        assert world.running() == ["master", "node001", "node002"]
        assert of(world.log, "leave") == [
            ("b", "leave", "node002", "unreachable"),
            ("a", "leave", "node002", "unreachable"),
        ]

    def test_a_master_whose_files_are_lost_with_it_is_told_and_not_made_anew(self, world):
        world.take("master")
        world.take("node002")
        assert world.watch().run(15, once=True)
        (told,) = world.told
        assert (told.decision.act, told.decision.node) == (Act.NOTE, "master")
        assert told.decision.reason.startswith("its machine is gone, and with it the home of me")
        assert world.running() == ["node001"]

    def test_a_master_whose_home_outlives_it_comes_back_and_everybody_joins_it(self, world):
        world.lab.provider.facets = frozenset({Facet.DIRECT, Facet.SHARED_HOME})
        world.take("master")
        del world.log[:]
        assert world.watch().run(15, once=True)
        assert world.said() == [(Act.BRING_BACK, "master", "done")]
        assert {entry[2] for entry in of(world.log, "join")} == {"master", "node001", "node002"}

    def test_two_that_are_lost_come_back_with_one_start(self, world):
        world.take("node001")
        world.take("node002")
        del world.lab.provider.calls[:]
        assert world.watch().run(15, once=True)
        assert len([call for call in world.lab.provider.calls if call.startswith("create")]) == 1
        assert world.running() == ["master", "node001", "node002"]

    def test_a_dry_run_tells_it_once_and_changes_nothing(self, world):
        world.take("node002")
        assert world.watch(dry_run=True).run(15, once=True)
        assert [(outcome.decision.act, outcome.seconds) for outcome in world.told] == [(Act.BRING_BACK, None)]
        assert world.running() == ["master", "node001"]

    def test_what_failed_is_told_and_tried_again_later_and_less_often(self, world, clock):
        world.take("node002")
        watch = world.watch()
        world.lab.provider.scarce.add("node002")
        began = clock.passed_s
        tries = []
        watch._tell = lambda outcome: outcome.seconds is None or tries.append(clock.passed_s - began)
        while clock.passed_s - began < 400:
            watch.look()
            clock.advance(5)
        assert [round(at / 30) for at in tries] == [0, 1, 3, 7]

    def test_a_provider_that_does_not_answer_is_told_of_once_and_ends_nothing(self, world, monkeypatch):
        watch = world.watch()

        def refuse(_cluster=None):
            raise ProviderError("no route", remedy="wait")

        with monkeypatch.context() as patch:
            patch.setattr(world.lab.provider, "nodes", refuse, raising=False)
            watch.look()
            watch.look()
        watch.look()
        assert [outcome.decision.reason for outcome in world.told] == [
            "nothing can be seen: no route",
            "it can be seen again",
        ]

    def test_two_never_watch_at_once(self, world):
        watch = world.watch()
        with hold(world.context().folder.path / WATCH_FILE), pytest.raises(StateError, match="watches over lab"):
            watch.run(15, once=True)

    def test_it_ends_with_the_cluster(self, world):
        watch = world.watch()
        watch.look()
        terminate_cluster(world.context())
        (decision,) = watch.look()
        assert decision.act == Act.END
        assert world.running() == []


class TestReplacing:
    def replace(self, world):
        act_on(world.context(), Decision(Act.REPLACE, "node001", "will be taken"))

    def test_another_node_joins_and_the_old_one_stays_a_member_until_it_has_ended(self, world):
        world.doomed = DOOMED
        watch = world.watch()
        watch.look()
        assert world.running() == ["master", "node001", "node002", "node003"]
        watch.look()
        watch.look()
        assert world.running() == ["master", "node001", "node002", "node003"], "nobody is replaced twice"
        world.doomed = {}
        world.take("node001")
        watch.look()
        watch.look()
        assert world.said() == [(Act.REPLACE, "node001", "done"), (Act.LET_GO, "node001", "done")]
        assert world.running() == ["master", "node002", "node003"]
        assert world.context().folder.wanted_nodes() == ("master", "node002", "node003")
        assert of(world.log, "members")[-1] == ("b", "members", "master", "node002", "node003")

    @pytest.mark.parametrize("act", [Act.REPLACE, Act.BRING_BACK, None])
    def test_one_that_has_ended_since_the_last_look_makes_the_cluster_no_larger(self, world, act):
        self.replace(world)
        world.take("node001")
        if act is None:
            add_nodes(world.context(), [], 1)
        else:
            act_on(world.context(), Decision(act, "node002", "why"))
        new = [] if act == Act.BRING_BACK else ["node001"]
        assert world.running() == ["master", *new, "node002", "node003"], "its name is free again"

    def test_it_is_of_the_same_kind(self, world):
        own = NodeOverrides(types=("r7i.large",))
        add_nodes(world.context(), ["big"], 1, differing=own)
        act_on(world.context(), Decision(Act.REPLACE, "big", "will be taken"))
        assert world.context().folder.node_overrides()["node003"] == own

    def test_a_start_in_between_has_the_size_right(self, world):
        self.replace(world)
        world.take("node001")
        start_cluster(world.context(), explicit_size=3)
        assert world.running() == ["master", "node002", "node003"]

    @pytest.mark.parametrize("moment", ["record", "create", "members"])
    def test_who_was_killed_meanwhile_has_it_done_once(self, world, monkeypatch, moment):
        with monkeypatch.context() as patch:
            if moment == "record":
                from clusterctl.operations.watching import acting

                patch.setattr(acting, "bring_up", lambda *a, **b: (_ for _ in ()).throw(KilledError))
            elif moment == "create":
                world.lab.provider.refusal = KilledError()
            else:
                call_hook = PluginHost.call_hook

                def be_killed(host, name, hook, **arguments):
                    if hook == "clusterctl_members":
                        raise KilledError
                    return call_hook(host, name, hook, **arguments)

                patch.setattr(PluginHost, "call_hook", be_killed)
            with pytest.raises(KilledError):
                self.replace(world)
        self.replace(world)
        assert world.running() == ["master", "node001", "node002", "node003"]

    def test_one_that_is_gone_by_then_is_brought_back_instead(self, world):
        world.take("node001")
        world.watch()._act([Decision(Act.REPLACE, "node001", "will be taken")])
        assert [outcome.decision for outcome in world.told[1:]] == [
            Decision(Act.NOTE, "node001", "node001 is gone already")
        ]
        assert world.running() == ["master", "node002"]


def test_a_cluster_that_was_ended_since_the_look_is_not_made_anew(world):
    context = world.context()
    terminate_cluster(world.context())
    world.watch()._act([Decision(Act.BRING_BACK, "node001", "its machine is gone")])
    assert [outcome.decision.act for outcome in world.told[1:]] == [Act.NOTE]
    assert world.running() == []
    assert not context.folder.path.exists()
