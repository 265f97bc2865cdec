"""Hosts that were there before a cluster: what they say of it, what of that is believed, and what ends nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from clusterctl.errors import RemoteError, StateError, UnprovenError, UsageError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Facet
from clusterctl.operations import leave
from clusterctl.operations.owning.attach import Rights, take_over
from clusterctl.operations.owning.hosts import HostAnswer, ask_hosts, choose_master, match_hosts
from clusterctl.operations.owning.record import make_record
from clusterctl.operations.start import start_cluster
from clusterctl.testing import FakeConnector, FakeProvider

KEYS = [" ".join(new_key_pair("")[1].split()[:2]) for _ in range(3)]
ALIASES = ("master", "node001")


@dataclass
class Hosts(FakeProvider):
    """Machines that were there before, and are noted on this computer alone."""

    facets: frozenset[Facet] = frozenset({Facet.DIRECT, Facet.LASTING})
    admit = None
    noted: list = field(default_factory=list)
    own_id: str = ""

    def adopt(self, cluster, user, nodes):
        self.noted.append((cluster, user, [node.alias for node in nodes]))
        self.machines = {(cluster, node.alias): replace(node, facets=self.facets) for node in nodes}

    def nodes(self, cluster=None):
        return [replace(node, cluster_id=self.own_id) for node in super().nodes(cluster)]


@pytest.fixture
def rack(lab):
    """A cluster on two hosts."""
    lab.provider = Hosts()
    parts = lab.parts(cluster_size=2)
    start_cluster(parts)
    places = enumerate(lab.provider.nodes("lab"))
    nodes = [
        replace(node, host_key=KEYS[n], address=f"192.0.2.{n}", private_address=f"10.0.0.{n}") for n, node in places
    ]
    lab.record = make_record(parts, ALIASES, nodes)
    lab.id = parts.folder.cluster_id
    lab.hosts = [replace(node, alias=f"host{number}") for number, node in enumerate(nodes)]
    return lab


def says(mark, record=""):
    return lambda call: f"{mark}\n\n{record}" if "/cluster'" in call.text else record


class TestAsking:
    def test_a_host_says_its_cluster_and_a_master_has_the_record(self, rack):
        (answer,) = ask_hosts(rack.hosts[:1], FakeConnector(says(f"lab {rack.id}", rack.record)))
        assert (answer.cluster, answer.id, answer.record) == ("lab", rack.id, rack.record)

    @pytest.mark.parametrize("mark", ["", "lab", "lab a b c", "lab ../x", "lab \x1b[2J", "lab " + "x" * 100])
    def test_what_is_no_mark_is_no_cluster(self, rack, mark):
        (answer,) = ask_hosts(rack.hosts[:1], FakeConnector(says(mark)))
        assert (answer.cluster, answer.id) == ("", "")

    def test_one_that_cannot_be_asked_keeps_no_other_from_answering(self, rack):
        def answer(call):
            if call.node == "host0":
                raise RemoteError("it does not answer", remedy="", node="host0")
            return f"lab {rack.id}\n\n"

        first, second = ask_hosts(rack.hosts, FakeConnector(answer))
        assert (first.trouble, second.cluster) == ("it does not answer", "lab")


class TestChoosing:
    def answers(self, rack, **changes):
        first = HostAnswer(rack.hosts[0], "lab", rack.id, rack.record)
        return [replace(first, **changes), HostAnswer(rack.hosts[1], "lab", rack.id)]

    def test_the_one_with_the_record_is_the_master_and_keys_or_places_tell_the_others(self, rack):
        answers = self.answers(rack)
        master, record = choose_master("lab", answers)
        moved = replace(rack.hosts[1], address="rack.example.org")  # known here by another name
        matched, unknown = match_hosts(record, [answers[0], replace(answers[1], node=moved)], master)
        assert {alias: answer.node.alias for alias, answer in matched.items()} == {
            "master": "host0",
            "node001": "host1",
        }
        assert unknown == {}
        other = replace(moved, host_key=KEYS[2])
        matched, unknown = match_hosts(record, [answers[0], replace(answers[1], node=other)], master)
        assert (list(matched), list(unknown)) == (["master"], ["node001"])

    def test_one_host_is_not_two_nodes_whatever_the_master_says(self, rack):
        content = json.loads(rack.record)
        content["hosts"]["node002"] = content["hosts"]["node001"]
        answers = self.answers(rack, record=json.dumps(content))
        master, record = choose_master("lab", answers)
        matched, unknown = match_hosts(record, answers, master)
        assert (list(matched), list(unknown)) == (["master", "node001"], ["node002"])

    @pytest.mark.parametrize(
        ("changes", "kind", "says"),
        [
            ({"cluster": "other"}, StateError, "none of these hosts is the master"),
            ({"id": "feed"}, UsageError, "several clusters are called lab"),
            ({"record": ""}, StateError, "none of these hosts is the master"),
            ({"record": "{"}, StateError, "no record of its cluster that can be read"),
        ],
    )
    def test_what_is_not_clear_is_said(self, rack, changes, kind, says):
        with pytest.raises(kind, match=says):
            choose_master("lab", self.answers(rack, **changes))

    def test_a_record_of_another_id_than_the_host_has_is_not_believed(self, rack):
        record = json.dumps({**json.loads(rack.record), "id": "feed"})
        with pytest.raises(StateError, match="its cluster has the id feed"):
            choose_master("lab", self.answers(rack, record=record))

    def test_a_host_that_claims_to_be_master_beside_the_master_is_no_help(self, rack):
        first, second = self.answers(rack)
        with pytest.raises(StateError, match="several hosts have a record"):
            choose_master("lab", [first, replace(second, record=rack.record)])

    def test_none_with_the_id_that_was_named_is_an_error(self, rack):
        with pytest.raises(UsageError, match="none of these hosts belongs to a cluster lab with the id beef"):
            choose_master("lab", self.answers(rack), "beef")


def test_what_fails_leaves_no_note_of_the_hosts(rack):
    nodes = [replace(node, cluster_id=rack.id) for node in rack.provider.nodes("lab")]
    rack.parts().folder.delete_folder()
    rack.provider.machines.clear()
    rack.connector.answers = lambda call: "nonsense"
    with pytest.raises(StateError):
        take_over(rack.parts(), nodes, Rights(), lambda *_: ("", []))
    assert rack.provider.noted == [("lab", "me", ["master", "node001"])]
    assert rack.provider.machines == {}
    assert not rack.parts().folder.path.exists()


class TestEnding:
    def test_without_the_id_nothing_is_forgotten_and_attach_is_named(self, rack):
        rack.parts().folder.delete_folder()
        for road in (leave.terminate_cluster, lambda parts: leave.remove_nodes(parts, ["node001"], 0)):
            with pytest.raises(UnprovenError, match="nothing is taken off its hosts") as caught:
                road(rack.parts())
            assert "clusterctl attach lab" in caught.value.remedy
        assert len(rack.provider.nodes("lab")) == 2

    def test_the_note_has_the_id_where_the_folder_is_lost(self, rack):
        rack.parts().folder.delete_folder()
        rack.provider.own_id = rack.id
        with pytest.raises(UsageError, match="not feed"):
            leave.terminate_cluster(rack.parts(), chosen_id="feed")
        assert len(leave.terminate_cluster(rack.parts())) == 2

    def test_without_the_note_it_says_so_and_forgets_nothing_but_by_force(self, rack):
        rack.provider.machines.clear()
        with pytest.raises(StateError, match="lost its note of the hosts"):
            leave.terminate_cluster(rack.parts())
        assert rack.parts().folder.joined_members()
        assert leave.terminate_cluster(rack.parts(), force=True) == []
        assert not rack.parts().folder.path.exists()
