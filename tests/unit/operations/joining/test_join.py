"""What is waited for, and what is not. The order of things: tests/unit/operations/test_start.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.api import hookimpl
from clusterctl.errors import LostError, ProviderError, RefusedError
from clusterctl.events import EventKind, Reporter
from clusterctl.model import Access, Facet
from clusterctl.operations.joining import join, silence
from clusterctl.operations.joining.silence import describe_silence
from clusterctl.operations.joining.wavefront import NotYetError
from clusterctl.operations.plan import make_plan
from clusterctl.operations.start import start_cluster
from clusterctl.testing import FakeClock, FakeConnector, FakeProvider, fake_node

SILENCE = (
    "1 node did not answer for 90 s (master). Tried is 127.0.0.1:22 from 192.0.2.7 (behind a router or a proxy others"
    " see another address)"
)


class Refusing(FakeConnector):
    """Some nodes answer, and let nobody in."""

    refused: tuple[str, ...] = ()
    tries = 0

    def __call__(self, node):
        remote = super().__call__(node)
        if node.alias in self.refused:
            remote.connect = self.refuse
        return remote

    def refuse(self):
        self.tries += 1
        raise RefusedError("me is not let in", remedy="let me in")


@pytest.fixture
def refusing(lab):
    lab.connector = Refusing()
    return lab.connector


def test_a_worker_that_lets_nobody_in_is_reported_at_once_and_the_others_join(lab, refusing):
    refusing.refused = ("node001",)
    started = start_cluster(lab.parts(cluster_size=3, min_size=2))
    assert (started.joined, started.failed) == (("master", "node002"), ("node001",))
    assert lab.warnings == ["node001: me is not let in"]
    assert refusing.tries == 1


def test_a_master_that_lets_nobody_in_ends_the_start_at_once(lab, refusing):
    refusing.refused = ("master",)
    with pytest.raises(RefusedError, match="me is not let in") as caught:
        start_cluster(lab.parts(cluster_size=2))
    assert "let me in; the nodes stay" in caught.value.remedy
    assert refusing.tries == 1


class Born(FakeProvider):
    """Its machines are born with one and the same host key."""

    def nodes(self, cluster=None):
        throwaway = "ssh-ed25519 THROWAWAY"
        return [replace(node, host_key=throwaway, bootstrap_key=True) for node in super().nodes(cluster)]

    def create(self, plan, **options):
        super().create(plan, **options)
        return self.nodes(plan.cluster)


def test_nodes_get_host_keys_of_their_own_before_any_plugin_acts(lab):
    order = []

    def answer(ran):
        order.append((ran.node, ran.name))
        own = f"host_key ssh-ed25519 OWN{ran.node}"
        return f"id 0\nkernel Linux\ncores 4\ninit other\npython yes\n{own}\n" if ran.name == "facts" else ""

    class Plugin:
        needs = frozenset()

        def __init__(self, options):
            pass

        @hookimpl
        def clusterctl_join(self, cluster, node):
            cluster.on(node).run_script("", name=node.host_key)

    lab.provider, lab.connector = Born(), FakeConnector(answer)
    lab.provider.facets = frozenset({Facet.MACHINE, Facet.DIRECT})
    parts = lab.parts({"plugin": Plugin}, cluster_size=2)
    started = start_cluster(parts)
    assert started.ok
    for alias in ("master", "node001"):
        own = f"ssh-ed25519 OWN{alias}"
        assert [name for node, name in order if node == alias][:3] == ["facts", "host key", own]
        assert parts.folder.host_keys()[next(node.machine_id for node in started.nodes if node.alias == alias)] == own
    assert "THROWAWAY" not in parts.folder.known_hosts_file.read_text()
    assert {(node.bootstrap_key, node.cores) for node in started.nodes} == {(False, 2)}


def test_a_node_that_is_too_busy_booting_to_run_anything_is_asked_again(lab):
    facts = "id 0\nkernel Linux\ncores 4\ninit other\npython yes\nhost_key ssh-ed25519 OWN\n"
    asked = []

    def answer(ran):
        if ran.name == "facts":
            asked.append(ran.node)
            if asked.count(ran.node) < 3:
                raise LostError(f"{ran.node}: facts: Timeout opening channel.", remedy="see", node=ran.node)
            return facts
        return ""

    lab.provider, lab.connector = Born(), FakeConnector(answer)
    lab.provider.facets = frozenset({Facet.MACHINE, Facet.DIRECT})
    assert start_cluster(lab.parts(cluster_size=2)).ok
    assert sorted(asked) == ["master"] * 3 + ["node001"] * 3
    assert lab.warnings == []


def test_a_program_that_leads_to_a_node_is_not_started_four_times_a_second(lab):
    parts = lab.parts()
    for access, pause_s in ((Access(), 0.25), (Access(command=("aws", "ssm")), 2.0)):
        cluster = parts.make_cluster([fake_node(access=access)])
        cluster.on(cluster.master).down = True
        with pytest.raises(NotYetError) as caught:
            join._Joiner(parts, cluster, make_plan(parts, ["master"]), ["master"]).run_act("master", "ssh")
        assert caught.value.pause_s == pause_s


@pytest.fixture
def source(monkeypatch):
    """This computer has this address on the way to any node."""
    monkeypatch.setattr(silence, "_source_address", lambda *_: "192.0.2.7")


@pytest.mark.usefixtures("source")
def test_the_provider_is_asked_ever_more_rarely_whether_silent_nodes_still_exist(lab, monkeypatch):
    asked = []
    parts = lab.parts()
    cluster = parts.make_cluster([fake_node()])
    cluster.on(cluster.master).down = True
    with FakeClock().installed() as clock:
        monkeypatch.setattr(lab.provider, "nodes", lambda name: asked.append(clock.passed_s) or cluster.nodes)
        joiner = join._Joiner(parts, cluster, make_plan(parts, ["master"]), ["master"])
        while clock.passed_s < 125:
            clock.advance(0.25)
            with pytest.raises(NotYetError):
                joiner.run_act("master", "ssh")
    assert asked == [2, 6, 14, 30, 60, 90, 120]
    assert lab.warnings == [SILENCE]


class Guarded(FakeProvider):
    """It has a firewall."""

    networks: tuple[str, ...] = ("192.0.2.7/32",)

    def list_admitted(self, cluster):
        if not self.networks:
            raise ProviderError("no answer", remedy="none")
        return list(self.networks)


@pytest.mark.usefixtures("source")
def test_while_nodes_are_silent_it_is_said_once_what_is_tried_and_who_is_let_in(lab):
    lab.provider = Guarded()
    context = lab.parts()
    nodes = [fake_node(f"node{number:03d}", address="::1", port=2222) for number in range(1, 6)]
    said = describe_silence(context, nodes, 91.4)
    assert said == (
        "5 nodes did not answer for 91 s (node001, node002, node003 and others). Tried is [::1]:2222 from 192.0.2.7"
        " (behind a router or a proxy others see another address); its firewall lets in 192.0.2.7/32"
    )
    through = [fake_node("node001", address="198.51.100.7", access=Access(jump="me@gate"))]
    assert "Tried is 198.51.100.7:22 through me@gate; its firewall" in describe_silence(context, through, 90)
    program = [fake_node("node001", access=Access(command=("aws", "ssm")))]
    lab.provider.networks = ()
    assert describe_silence(context, program, 90).endswith("(node001). Tried is the program aws")


def test_a_host_that_was_there_before_may_still_be_booting_and_is_waited_for(lab):
    lab.provider.facets = frozenset({Facet.LASTING, Facet.DIRECT})
    lab.connector.down = {"node001"}

    def report(event):
        lab.events.append(event)
        if event.kind == EventKind.STEP and event.text.startswith("Waiting"):
            lab.provider.power_off("lab", "node001")

    lab.report = Reporter(report)
    started = start_cluster(lab.parts(cluster_size=2, start_timeout=3))
    assert started.failed == ("node001",)
    assert any("did not answer when the 3 s" in problem for problem in started.problems)


def test_a_node_that_never_answers_is_told_of_with_what_its_console_says_last(lab):
    class Talking(type(lab.provider)):
        def console(self, cluster, alias):
            return "boot\n\n" + "\n".join(f"{alias} line {number}" for number in range(9)) + "\n"

    lab.provider = Talking()
    lab.connector.down = {"node001"}
    started = start_cluster(lab.parts(start_timeout=1.5))
    (problem,) = started.problems
    assert "its console ends with:\n    node001 line 4\n" in problem
    assert "boot" not in problem


def test_the_address_that_a_connection_comes_from_is_asked_of_the_system(allow_loopback):
    assert silence._source_address("127.0.0.1", 22) == "127.0.0.1"
    assert silence._source_address("no such address", 22) == ""
