"""The record on the master: what is in it, when it is written anew, and what is believed of it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from clusterctl.errors import RemoteError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Facet, Market, NodeOverrides
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.owning.attach import Rights, take_over
from clusterctl.operations.owning.record import RecordedHost, make_record, parse_record
from clusterctl.operations.start import start_cluster
from clusterctl.testing import fake_node

KEY = " ".join(new_key_pair("")[1].split()[:2])
HOST = {
    "address": "192.0.2.1",
    "port": 22,
    "user": "admin",
    "private_address": "10.0.0.1",
    "host_key": KEY,
    "id": "n1@192.0.2.1:22#ab",
}
BIG = NodeOverrides(types=("r7i.large",), market=Market.SPOT, bid=Decimal("0.10"))


def records(lab):
    """The records that the master was given, oldest first."""
    return [ran.text for ran in lab.connector.ran if ran.name == "record"]


def written(parts, **more):
    return json.loads(make_record(parts, ["master", "node001"], [])) | more


def test_what_an_addnode_was_told_of_a_node_is_written_to_the_master_at_once(lab):
    start_cluster(lab.parts(cluster_size=1))
    assert len(records(lab)) == 1
    add_nodes(lab.parts(), ["big"], 1, differing=BIG)
    assert len(records(lab)) == 2
    assert '"special": {"big": {"types": ["r7i.large"], "market": "spot", "bid": "0.10"}}' in records(lab)[-1]


def test_one_that_the_master_has_already_costs_no_command(lab):
    start_cluster(lab.parts(cluster_size=2))
    start_cluster(lab.parts(cluster_size=2))
    assert len(records(lab)) == 1


def test_one_that_cannot_be_written_is_a_warning_and_the_next_start_tries_again(lab):
    usual = lab.connector.answers

    def refuse(ran):
        if ran.name == "record":
            raise RemoteError("no space left", remedy="", node="master")
        return usual(ran) if callable(usual) else ""

    lab.connector.answers = refuse
    assert start_cluster(lab.parts(cluster_size=1)).ok
    assert any("could not take lab over" in warning for warning in lab.warnings)
    lab.connector.answers = usual
    start_cluster(lab.parts(cluster_size=1))
    assert len(records(lab)) == 2


def test_nodes_that_differ_do_so_after_an_attach_too(lab):
    start_cluster(lab.parts(cluster_size=1))
    add_nodes(lab.parts(), ["big"], 1, differing=BIG)
    record = make_record(lab.parts(), ["master", "big"], [])
    lab.parts().folder.delete_folder()
    lab.connector.answers = lambda call: record if call.text.startswith("cat ") else ""
    parts = lab.parts()
    take_over(parts, lab.provider.nodes("lab"), Rights(), lambda *_: ("[cluster small]\nPROVIDER = local\n", []))
    assert parts.folder.node_overrides() == {"big": BIG}


def test_where_hosts_are_is_in_it_and_where_a_cloud_knows_is_not(lab):
    start_cluster(lab.parts())
    own = fake_node("node001", address="192.0.2.7", private_address="10.0.0.7", host_key=KEY, user="admin")
    lasting = replace(own, facets=frozenset({Facet.LASTING}), port=2222)
    made = parse_record(make_record(lab.parts(), ["node001"], [replace(own, alias="master"), lasting]), "lab")
    assert made.hosts == {"node001": RecordedHost("192.0.2.7", 2222, "admin", "10.0.0.7", KEY, own.id)}


@pytest.mark.parametrize(
    "hosts",
    [
        *([], "x", 7, None, {"../../etc": HOST}, {"a b": HOST}, {"n1": []}, {"n1": {}}, {"n1": "x"}),
        *({"n1": {**HOST, "address": address}} for address in ("-oProxyCommand=x", "a b", "", "a\nb", 7, None)),
        *({"n1": {**HOST, "port": port}} for port in (0, 65536, "x", None, -1)),
        *({"n1": {**HOST, "user": user}} for user in ("-x", "a b", "a@b", None, "a;b")),
        *({"n1": {**HOST, "private_address": address}} for address in ("x", "::1", None, "10.0.0.1 x\n")),
        *({"n1": {**HOST, "id": id_}} for id_ in ("", "a b", None, "x" * 401, "a/b")),
        *({"n1": {**HOST, "host_key": key}} for key in ("", "x", None, "ssh-ed25519 AAAA")),
    ],
)
def test_what_is_no_host_is_left_out(lab, hosts):
    start_cluster(lab.parts())
    assert parse_record(json.dumps(written(lab.parts(), hosts=hosts)), "lab").hosts == {}


@pytest.mark.parametrize(
    "fields",
    [[], "x", {"market": "stolen"}, {"types": 7}, {"bid": "much"}, {"image": "a\nb"}, {"types": ["x" * 5000]}],
)
def test_what_is_nothing_that_was_asked_for_is_left_out(lab, fields):
    start_cluster(lab.parts())
    assert parse_record(json.dumps(written(lab.parts(), special={"node001": fields})), "lab").special == {}


def test_one_of_an_earlier_version_says_neither(lab):
    start_cluster(lab.parts())
    content = {key: value for key, value in written(lab.parts()).items() if key not in {"hosts", "special"}}
    made = parse_record(json.dumps(content), "lab")
    assert (made.hosts, made.special, made.nodes) == ({}, {}, ("master", "node001"))
