"""What no cluster needs: judged without asking anybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.journal import ClusterFolder
from clusterctl.model import Market
from clusterctl.operations.account.gc import KnownCluster, read_known_clusters, select_unneeded
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account.resources import Resource, ResourceKind
from clusterctl.providers.ec2.launch_journal import Launch, LaunchJournal

NOW = datetime(2025, 6, 10, 12, 0, tzinfo=timezone.utc)
ME, YOU = "me@here", "you@there"
LAB = KnownCluster("lab", "u1", wanted_aliases=frozenset({"master", "node001"}), alias_by_id={"i-1": "node001"})
PARTS = (
    ResourceKind.VOLUME,
    ResourceKind.PLACEMENT_GROUP,
    ResourceKind.NETWORK_INTERFACE,
    ResourceKind.SECURITY_GROUP,
    ResourceKind.KEY_PAIR,
)
BY_HAND = (ResourceKind.VOLUME, ResourceKind.KEY_PAIR, ResourceKind.SECURITY_GROUP)


OWN = frozenset({"u1", "u3", "u4"})
"""Ids of clusters that this home has made."""


def resource(kind=ResourceKind.INSTANCE, id_="i-1", *, uuid="u1", cluster="lab", owner=ME, marks=None, **more):
    mine = {tags.UUID: uuid, tags.CLUSTER: cluster, tags.OWNER: owner, **(marks or {})}
    return Resource(
        kind=kind, id=id_, region="us-east-1", tags={key: value for key, value in mine.items() if value}, **more
    )


def judged(*found, known=(LAB,), **more):
    return {
        each.resource.id: each.reason
        for each in select_unneeded(found, known, now=NOW, owners={ME}, own_ids=OWN, **more)
    }


def expires(**ago):
    return {tags.EXPIRES: (NOW - timedelta(**ago)).isoformat()}


class TestInstances:
    def test_a_node_of_a_known_cluster_is_needed_whether_its_name_is_a_tag_or_in_the_journal(self):
        assert judged(resource()) == {}
        assert judged(resource(id_="i-2", marks={tags.ALIAS: "node001"})) == {}
        assert judged(resource(id_="i-3", marks={tags.ROLE: "master"})) == {}

    def test_one_that_was_removed_is_not(self):
        assert judged(resource(id_="i-9", marks={tags.ALIAS: "node009"})) == {"i-9": "it is no node of lab any more"}

    def test_a_second_one_of_the_same_name_is_not_and_the_first_is(self):
        twins = [
            resource(id_=id_, marks={tags.ALIAS: "node001"}, made=NOW - timedelta(hours=hours))
            for id_, hours in (("i-old", 2), ("i-new", 1))
        ]
        twins.append(resource(id_="i-m", marks={tags.ROLE: "master"}))
        assert judged(*twins) == {"i-new": "it is no node of lab any more"}

    def test_what_came_of_a_launch_that_the_next_start_completes_is_needed(self):
        one = resource(id_="i-9", marks={tags.ALIAS: "node009", tags.ATTEMPT: "t1"})
        assert judged(one, known=[replace(LAB, tokens=frozenset({"t1"}))]) == {}

    def test_one_of_a_cluster_that_nobody_here_knows_is_not(self):
        assert judged(resource(uuid="u2")) == {"i-1": "no cluster that this computer knows needs it (lab)"}
        assert judged(resource(), known=[]) == {"i-1": "no cluster that this computer knows needs it (lab)"}

    def test_a_home_is_named_as_one_and_stays_while_its_cluster_is_known(self):
        home = resource(ResourceKind.VOLUME, "vol-1", uuid="u2", marks={tags.ROLE: tags.HOME})
        reason = "no cluster that this computer knows needs it (lab; its home, with all files)"
        assert judged(home) == {"vol-1": reason}
        assert judged(replace(home, tags={**home.tags, tags.UUID: "u1"})) == {}

    def test_a_journal_without_the_id_of_its_cluster_goes_by_the_name(self):
        old = KnownCluster("lab", "", wanted_aliases=frozenset({"master"}))
        assert judged(resource(marks={tags.ROLE: "master"}), known=[old]) == {}
        assert judged(resource(cluster="other", uuid="u3"), known=[old]) != {}


class TestTime:
    def test_what_is_past_its_time_goes_whoever_knows_it(self):
        for marks in (expires(minutes=1), {tags.EXPIRES: "2025-06-10T11:59:00Z"}, {tags.EXPIRES: "2025-06-10T11:59"}):
            assert judged(resource(marks=marks)) == {"i-1": "its time was over at 2025-06-10 11:59 UTC"}

    def test_what_has_time_left_or_says_nothing_that_is_a_time_stays(self):
        for marks in (expires(minutes=-1), {tags.EXPIRES: "soon"}, {tags.EXPIRES: ""}):
            assert judged(resource(marks=marks)) == {}

    def test_a_security_group_past_its_time_goes_although_instances_stay(self):
        group = resource(ResourceKind.SECURITY_GROUP, "sg-1", marks=expires(hours=1))
        assert list(judged(resource(), group)) == ["sg-1"]


class TestParts:
    @pytest.mark.parametrize("kind", PARTS)
    def test_of_a_known_cluster_they_stay_with_instances_and_without(self, kind):
        assert judged(resource(kind, "x")) == {}
        assert judged(resource(kind, "x"), resource()) == {}

    @pytest.mark.parametrize("kind", PARTS)
    def test_of_an_unknown_cluster_they_go_with_its_instances(self, kind):
        assert set(judged(resource(kind, "x"), known=[])) == {"x"}
        assert set(judged(resource(kind, "x"), resource(), known=[])) == {"x", "i-1"}

    def test_what_ends_with_its_instance_is_not_named_apart(self):
        disk = resource(ResourceKind.VOLUME, "vol-1", with_instance=True, marks=expires(hours=1))
        assert judged(disk, known=[]) == {}

    @pytest.mark.parametrize("kind", BY_HAND)
    def test_what_was_made_by_hand_was_never_a_clusters(self, kind):
        assert judged(resource(kind, "x", uuid="", cluster=""), known=[]) == {}


class TestTemplates:
    def test_one_outlives_its_launch_by_an_hour_at_most(self):
        young, old = (
            resource(ResourceKind.LAUNCH_TEMPLATE, f"lt-{hours}", made=NOW - timedelta(hours=hours))
            for hours in (0.9, 1.1)
        )
        assert judged(young, old) == {"lt-1.1": "its launch is over"}

    def test_one_that_the_next_start_asks_with_again_stays(self):
        old = resource(ResourceKind.LAUNCH_TEMPLATE, "lt-1", name="clusterctl-t1", made=NOW - timedelta(days=9))
        assert judged(old, known=[replace(LAB, templates=frozenset({"clusterctl-t1"}))]) == {}
        assert judged(old, known=[replace(LAB, templates=frozenset({"lt-1"}))]) == {}


class TestImages:
    IMAGE = resource(ResourceKind.IMAGE, "ami-1", parts=("snap-1",))
    SNAPSHOT = resource(ResourceKind.SNAPSHOT, "snap-1")

    def test_they_only_count_when_asked_for(self):
        assert judged(self.IMAGE, self.SNAPSHOT, known=[]) == {}
        assert set(judged(self.IMAGE, self.SNAPSHOT, known=[], images=True)) == {"ami-1"}

    def test_one_that_nodes_were_made_from_stays(self):
        assert judged(self.IMAGE, known=[replace(LAB, images=frozenset({"ami-1"}))], images=True) == {}

    def test_a_snapshot_without_its_image_goes(self):
        assert judged(self.SNAPSHOT, images=True) == {"snap-1": "its baked image is gone"}


class TestOwners:
    def test_what_others_made_is_named_and_marked(self):
        found = [
            resource(uuid="u2", id_="i-2"),  # another computer's of the same user and name
            resource(uuid="u3", id_="i-3"),
            resource(owner="", uuid="u4"),
            resource(owner=YOU, uuid="", cluster="", id_="i-4", marks={tags.EXPIRES: "2020-01-01T00:00:00Z"}),
        ]
        marked = {
            each.resource.id: each.foreign for each in select_unneeded(found, [LAB], now=NOW, owners={ME}, own_ids=OWN)
        }
        assert marked == {"i-2": True, "i-3": False, "i-1": False, "i-4": True}

    def test_parts_of_a_cluster_that_others_have_instances_in_are_theirs(self):
        found = [resource(owner=YOU, uuid="u2"), resource(ResourceKind.SECURITY_GROUP, "sg-1", uuid="u2")]
        assert [each.foreign for each in select_unneeded(found, [], now=NOW, owners={ME}, own_ids=OWN)] == [True, True]


def test_things_of_one_name_in_two_regions_are_two_things():
    here = resource(ResourceKind.PLACEMENT_GROUP, "clusterctl-lab")
    there = replace(resource(ResourceKind.PLACEMENT_GROUP, "clusterctl-lab", uuid="u2"), region="eu-west-1")
    assert [each.resource for each in select_unneeded([here, there], [LAB], now=NOW, owners={ME}, own_ids=OWN)] == [
        there
    ]


def test_they_come_in_the_order_in_which_they_can_be_ended():
    kinds = [kind for kind in ResourceKind if kind not in {ResourceKind.IMAGE, ResourceKind.SNAPSHOT}]
    found = [resource(kind, f"id-{kind.value}") for kind in reversed(kinds)]
    assert [each.resource.kind for each in select_unneeded(found, [], now=NOW, owners={ME}, own_ids=OWN)] == kinds


# Whatever is found, and whatever is known.

UUIDS, ALIASES, TOKENS = ("u1", "u2", "u3"), ("master", "node001", "node002"), ("t1", "t2")


@st.composite
def worlds(draw):
    known = [
        KnownCluster(
            f"lab-{uuid}",
            uuid,
            wanted_aliases=frozenset(draw(st.sets(st.sampled_from(ALIASES)))),
            alias_by_id=draw(st.dictionaries(st.sampled_from(["r0", "r1", "r2"]), st.sampled_from(ALIASES))),
            tokens=frozenset(draw(st.sets(st.sampled_from(TOKENS)))),
            templates=frozenset(draw(st.sets(st.sampled_from(["r0", "r1", "r2"])))),
            images=frozenset(draw(st.sets(st.sampled_from(["r0", "r1", "r2"])))),
        )
        for uuid in draw(st.sets(st.sampled_from(UUIDS)))
    ]
    found = []
    for number in range(draw(st.integers(0, 7))):
        uuid = draw(st.sampled_from([*UUIDS, ""]))
        alias = draw(st.sampled_from([*ALIASES, ""]))
        marks = {tags.ATTEMPT: draw(st.sampled_from([*TOKENS, ""]))}
        marks |= {tags.ROLE: "master"} if alias == "master" else {tags.ALIAS: alias}
        marks |= expires(minutes=1) if draw(st.booleans()) and draw(st.booleans()) else {}
        found.append(
            resource(
                draw(st.sampled_from(ResourceKind)),
                f"r{number}",
                uuid=uuid,
                cluster=f"lab-{uuid}" if uuid else "",
                owner=draw(st.sampled_from([ME, YOU])),
                marks=marks,
                made=NOW - timedelta(hours=draw(st.integers(0, 5))),
                with_instance=draw(st.booleans()),
            )
        )
    return found, known


def has_time(each):
    return tags.EXPIRES not in each.tags


@given(worlds(), st.booleans())
def test_nothing_that_a_known_cluster_needs_is_ever_named(world, images):
    found, known = world
    named = {
        each.resource.id for each in select_unneeded(found, known, now=NOW, owners={ME}, own_ids=OWN, images=images)
    }
    by_uuid = {cluster.uuid: cluster for cluster in known}
    for each in found:
        cluster = by_uuid.get(each.uuid)
        if cluster is None or not has_time(each):
            continue
        if each.kind in PARTS or each.kind == ResourceKind.SPOT_REQUEST:
            assert each.id not in named
        if each.kind == ResourceKind.LAUNCH_TEMPLATE and each.id in cluster.templates:
            assert each.id not in named
        if each.kind == ResourceKind.INSTANCE and each.tags.get(tags.ATTEMPT) in cluster.tokens:
            assert each.id not in named
        if each.kind == ResourceKind.IMAGE and each.id in cluster.images:
            assert each.id not in named
    for cluster in known:
        nodes = [each for each in found if each.kind == ResourceKind.INSTANCE and each.uuid == cluster.uuid]
        for alias in cluster.wanted_aliases:
            called = [
                each for each in nodes if (each.is_master and alias == "master") or each.tags.get(tags.ALIAS) == alias
            ]
            # Of those that say they are this node, one is: it stays, unless its time is over.
            assert not called or not all(map(has_time, called)) or any(each.id not in named for each in called)


@given(worlds())
def test_what_was_never_a_clusters_and_has_time_left_is_never_named(world):
    found, known = world
    named = {each.resource.id for each in select_unneeded(found, known, now=NOW, owners={ME}, own_ids=OWN)}
    assert not [each for each in found if not each.uuid and has_time(each) and each.id in named]


@given(worlds())
def test_where_an_instance_stays_all_that_belongs_to_it_stays(world):
    found, known = world
    named = {each.resource.id for each in select_unneeded(found, known, now=NOW, owners={ME}, own_ids=OWN)}
    staying = {each.uuid for each in found if each.kind == ResourceKind.INSTANCE and each.id not in named}
    assert not [
        each for each in found if each.kind in PARTS and each.uuid in staying and has_time(each) and each.id in named
    ]


@given(worlds())
def test_what_is_not_ours_to_judge_is_always_marked(world):
    found, known = world
    for each in select_unneeded(found, known, now=NOW, owners={ME}, own_ids=OWN):
        assert each.foreign or (each.resource.uuid in OWN if each.resource.uuid else each.resource.owner == ME)
        assert each.reason


class TestJournals:
    def make(self, home, name, provider="ec2"):
        folder = ClusterFolder(home, name)
        folder.ensure_exists()
        folder.record("create", provider=provider, template="t", overrides={}, nodes=["master", "node001"])
        return folder

    def test_a_cluster_is_what_its_journal_says(self, tmp_path):
        folder = self.make(tmp_path, "lab")
        ledger = LaunchJournal(folder)
        folder.take_id("u1")
        ledger.ensure_identity("eu-west-1")
        done, begun = (
            Launch(token, "worker", Market.SPOT, ("node001",), f"template-{token}", {}) for token in ("t1", "t2")
        )
        for launch in (done, begun):
            ledger.record_launch(launch)
        ledger.record_result(done, {"node001": "i-1"})
        ledger.record_image("debian-12/x86_64", "ami-1")
        folder.record("remove", nodes=["node001"])
        assert read_known_clusters(tmp_path) == [
            KnownCluster(
                "lab",
                "u1",
                wanted_aliases=frozenset({"master"}),
                alias_by_id={"i-1": "node001"},
                tokens=frozenset({"t2"}),
                templates=frozenset({"template-t2"}),
                images=frozenset({"ami-1"}),
            )
        ]

    def test_clusters_elsewhere_do_not_count_and_one_without_an_id_does(self, tmp_path):
        self.make(tmp_path, "here", provider="local")
        self.make(tmp_path, "lab")
        assert [(known.name, known.uuid) for known in read_known_clusters(tmp_path)] == [("lab", "")]

    def test_without_a_folder_nothing_is_known(self, tmp_path):
        assert read_known_clusters(tmp_path / "none") == []
