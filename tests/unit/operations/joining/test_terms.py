"""What the master is told of the end of its cluster, and what the user is."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from clusterctl.api import Busy, Plugin, hookimpl
from clusterctl.errors import RemoteError, StateError
from clusterctl.model import Facet, Market
from clusterctl.node import ending
from clusterctl.operations.joining.terms import describe_end, describe_terms
from clusterctl.operations.nodes.keep import keep_cluster
from clusterctl.operations.start import start_cluster
from clusterctl.providers.money import Spending
from clusterctl.testing import FakeProvider

MACHINE = frozenset({Facet.MACHINE, Facet.INIT, Facet.DIRECT})
NAME = "ending: terms"
PROGRAM = Path(__file__).parents[3] / "support" / "busy_page.py"
SAID = {"why": "", "busy": "", "idle_s": 0, "kept_s": 0, "ends_in_s": None, "keep": "", "phase": "awake"}


class Ec2(FakeProvider):
    """Machines that can be switched off and cost money."""

    def __init__(self, **master):
        super().__init__(name="ec2", facets=MACHINE)
        self.master = master

    def _boot_machine(self, plan, spec):
        node = super()._boot_machine(plan, spec)
        return replace(node, **self.master) if node.is_master else replace(node, gone_when_off=True)

    def estimate_nodes(self, plan, existing):
        raise AssertionError("nobody is asked for what it costs")

    def spending(self, cluster, nodes):
        return Spending(hourly=Decimal("0.5"), so_far=Decimal("1.5"))


class Busily(Plugin):
    @hookimpl
    def clusterctl_busy(self):
        return [Busy("page", PROGRAM, {"draft": Path("/draft")})]


def told(lab):
    """The terms that the master was sent last; None if it was sent none."""
    scripts = [ran.text for ran in lab.connector.ran if ran.name == NAME and ran.node == "master"]
    if not scripts or "terms.json" not in scripts[-1]:
        return None
    return next((json.loads(line) for line in scripts[-1].splitlines() if line.startswith('{"cluster"')), None)


def test_a_cluster_without_terms_costs_no_command(lab):
    start_cluster(lab.parts())
    assert [ran for ran in lab.connector.ran if ran.name == NAME] == []


def test_terms_go_to_the_master_as_roots_own_and_are_taken_back_when_they_go(lab):
    start_cluster(
        lab.parts({"busily": Busily}, cluster_size=2, idle_stop="90s", lifetime=2, idle_ignores="logins, jobs")
    )
    terms = told(lab)
    assert (terms["idle_s"], terms["lifetime_s"], terms["ignored"]) == (90.0, 7200.0, ["logins", "jobs"])
    assert (terms["workers"], terms["powers_off"], terms["lost_s"]) == (["node001"], False, 0.0)
    assert [(each["cause"], each["values"]) for each in terms["programs"]] == [("page", {"draft": "/draft"})]
    assert {ran.node for ran in lab.connector.ran if ran.name == NAME} == {"master"}
    assert all(ran.sudo for ran in lab.connector.ran if ran.name == NAME)
    start_cluster(lab.parts({"busily": Busily}))
    assert told(lab) is None
    before = len(lab.connector.ran)
    start_cluster(lab.parts({"busily": Busily}))
    assert NAME not in [ran.name for ran in lab.connector.ran[before:]]


def test_each_start_is_another_one_and_the_same_boot_is_the_same_life(lab):
    start_cluster(lab.parts(idle_stop="20m"))
    first = told(lab)
    start_cluster(lab.parts(idle_stop="20m"))
    assert told(lab)["nonce"] != first["nonce"]
    assert told(lab)["life"] == first["life"] == "lab-master-1"


def test_on_ec2_it_is_on_by_default_and_said_and_every_machine_has_a_watch(lab):
    lab.provider = Ec2()
    start_cluster(lab.parts(cluster_size=2))
    terms = told(lab)
    assert (terms["idle_s"], terms["powers_off"], terms["lasts"], terms["lost_s"]) == (1200.0, True, True, 3600.0)
    assert terms["address"]
    scripts = {ran.node: ran.text for ran in lab.connector.ran if ran.name == NAME}
    assert all("clusterctl-watch@" in text for text in scripts.values())
    assert set(scripts) == {"master", "node001"}
    assert (
        "lab ends by itself once nobody has worked for 20 min (IDLE_STOP): its workers end, its master stops and keeps"
        " its disk; `clusterctl keep lab 2h` keeps it"
    ) in lab.said
    start_cluster(lab.parts(idle_stop="never"))
    assert told(lab) is None


def test_containers_stop_themselves_and_every_one_has_a_watch(lab):
    lab.provider = FakeProvider(name="docker", facets=frozenset({Facet.MACHINE, Facet.STOPS_ITSELF, Facet.DIRECT}))
    start_cluster(lab.parts(cluster_size=2, idle_stop="20m"))
    terms = told(lab)
    assert (terms["stops"], terms["powers_off"], terms["lost_s"]) == (True, False, 0.0)
    assert {ran.node for ran in lab.connector.ran if ran.name == NAME} == {"master", "node001"}
    assert any("its containers stop, with all that is in them" in text for text in lab.said)


def test_a_worker_that_cannot_be_told_keeps_nobody_else_from_ending(lab):
    lab.provider = Ec2()
    lost = RemoteError("node001 does not answer", remedy="look", node="node001")
    lab.connector.answers = {NAME: lambda ran: lost if ran.node == "node001" else None}
    started = start_cluster(lab.parts(cluster_size=2))
    assert started.problems == ("node001 may not end with its cluster: node001 does not answer",)
    assert any("its workers end, its master stops" in text for text in lab.said)


def test_a_master_that_would_be_lost_against_its_users_will_is_left_alone(lab):
    lab.provider = Ec2(gone_when_off=True, market=Market.ON_DEMAND)
    start_cluster(lab.parts())
    assert told(lab) is None
    assert any("does not end for being idle: its master was made by an earlier version" in text for text in lab.said)


@pytest.mark.parametrize("way", ["spot", "terminate"])
def test_one_that_shall_or_must_go_goes(lab, way):
    lab.provider = Ec2(gone_when_off=True, market=Market.SPOT if way == "spot" else Market.ON_DEMAND)
    more = {"idle_action": "terminate"} if way == "terminate" else {}
    start_cluster(lab.parts(on_end="save", notify="tell", **more))
    terms = told(lab)
    assert (terms["lasts"], terms["on_end"], terms["notify"]) == (False, "save", "tell")
    assert any("its machines end, with what is on them" in text for text in lab.said)


def test_the_cost_is_told_with_what_is_spent(lab):
    lab.provider = Ec2()
    start_cluster(lab.parts(max_cost="20"))
    assert [told(lab)[name] for name in ("max_usd", "hourly_usd", "spent_usd")] == [20.0, 0.5, 1.5]
    assert any("or at 20 USD (MAX_COST)" in text for text in lab.said)


def test_a_plugin_that_fails_keeps_the_cluster_from_ending_and_is_reported(lab):
    class Broken(Plugin):
        @hookimpl
        def clusterctl_busy(self):
            raise StateError("no queue", remedy="make one")

    started = start_cluster(lab.parts({"broken": Broken}, idle_stop="20m"))
    assert told(lab) is None
    assert started.problems == ("lab does not end by itself: plugin broken: no queue (try: make one)",)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "not in sight (idle for 0 s)"),
        ({"busy": "3 tasks at the controller"}, "not in sight (3 tasks at the controller at work)"),
        ({"idle_s": 360, "ends_in_s": 840, "why": "why"}, "in 14 min (idle for 6 min): why"),
        ({"kept_s": 5400, "ends_in_s": 5400, "why": "why"}, "in 90 min (idle for 0 s, kept for 90 min more): why"),
        ({"phase": "ending", "why": "why"}, "it ends now: why"),
        ({"phase": "ended", "why": "why"}, "it has ended by itself: why"),
    ],
)
def test_the_end_as_status_says_it(said, text):
    assert describe_end(ending.parse({**SAID, **said})) == text


@pytest.mark.parametrize(
    "said",
    [
        *(None, [], {}, "x", {"phase": "awake"}, {**SAID, "phase": "gone"}, {**SAID, "idle_s": "x"}),
        *({**SAID, "idle_s": float("nan")}, {**SAID, "ends_in_s": -1}, {**SAID, "kept_s": True}),
    ],
)
def test_what_a_master_says_that_is_not_as_agreed_was_not_said(said):
    assert ending.parse(said) is None


def test_what_it_says_moves_no_cursor():
    assert ending.parse({**SAID, "busy": "\x1b[2J" + "x" * 1000}).busy.startswith("\\x1b[2Jx")


def test_all_terms_are_described():
    terms = ending.Terms("lab", "m", idle_s=60.0, lifetime_s=7200.0, client_s=300.0)
    assert describe_terms(terms)[0] == (
        "lab ends by itself once nobody has worked for 60 s (IDLE_STOP), or 2 h after it began (LIFETIME), or 5 min"
        " after this program is gone: its services stop, its nodes stay; `clusterctl keep lab 2h` keeps it"
    )


class TestKeep:
    def parts(self, lab, said):
        """A cluster whose master says this; it hears wishes."""
        wishes = []

        def probe(_):
            heard = {"keep": wishes[-1]["id"], "kept_s": wishes[-1]["seconds"]} if wishes else {}
            ends = None if said is None else {**SAID, **said, **heard}
            return json.dumps({"manager": "", "services": [], "watched": True, "ending": ends})

        def wish(ran):
            line = next(line for line in ran.text.splitlines() if line.startswith("printf"))
            wishes.append(json.loads(line.split("'")[3]))
            return ""

        start_cluster(lab.parts())
        lab.connector.answers = {"services: probe": probe, "ending: keep": wish}
        return lab.parts(), wishes

    def test_a_wish_is_heard_before_it_is_answered(self, lab):
        parts, wishes = self.parts(lab, {})
        assert keep_cluster(parts, 7200.0).kept_s == 7200
        assert [each["seconds"] for each in wishes] == [7200.0]

    @pytest.mark.parametrize(
        ("said", "message"),
        [(None, "lab does not end by itself"), ({"phase": "ended", "why": "idle"}, "lab has ended by itself: idle")],
    )
    def test_where_there_is_nothing_to_keep_nothing_is_written(self, lab, said, message):
        parts, wishes = self.parts(lab, said)
        with pytest.raises(StateError) as caught:
            keep_cluster(parts, 7200.0)
        assert caught.value.message == message
        assert wishes == []
