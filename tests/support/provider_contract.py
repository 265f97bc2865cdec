"""The promises of `clusterctl.providers.base`: subclass it, and give it a `provider` fixture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Node, NodeSpec, NodeState, Plan, Request
from clusterctl.providers.base import Power, Provider
from clusterctl.providers.outliving import HomeKeeping

UP = (NodeState.PENDING, NodeState.RUNNING)


def plan_for(*aliases: str, cluster: str = "lab", provider: str = "") -> Plan:
    """A plan that wants these nodes and nothing else."""
    return Plan(
        cluster=cluster,
        provider=provider,
        user="",
        nodes=tuple(NodeSpec(alias) for alias in aliases),
        plugins=(),
        request=Request(),
        min_size=len(aliases),
        deadline_s=60,
        digest="",
    )


def ids(nodes: list[Node]) -> dict[str, str]:
    return {node.alias: node.id for node in nodes}


class ProviderContract:
    """What any provider promises."""

    @pytest.fixture
    def public_key(self) -> str:
        return new_key_pair("contract")[1]

    def test_check_finds_nothing_wrong_with_a_good_plan_and_changes_nothing(self, provider: Provider) -> None:
        assert provider.check(plan_for("master", provider=provider.name)) == []
        assert provider.nodes() == []

    def test_create_returns_all_nodes_of_the_plan_with_the_master_first(self, provider, public_key):
        made = provider.create(plan_for("node002", "master", "node001"), public_key=public_key)
        assert [node.alias for node in made] == ["master", "node001", "node002"]
        assert [node.is_master for node in made] == [True, False, False]
        for node in made:
            assert node.cluster == "lab"
            assert node.state in UP
            assert node.address
            assert node.private_address
            assert node.port > 0
            assert node.user
            assert node.host_key.split()[0].startswith(("ssh-", "ecdsa-"))
            layout = node.layout
            for path in (layout.env, layout.state, layout.logs, layout.run, layout.home, layout.cache):
                assert path.is_absolute()
        assert len(set(ids(made).values())) == 3

    def test_nodes_tells_what_create_made_without_being_told(self, provider, public_key):
        made = provider.create(plan_for("master", "node001"), public_key=public_key)
        seen = provider.nodes("lab")
        assert ids(seen) == ids(made)
        assert [replace(node, state=NodeState.RUNNING) for node in seen] == [
            replace(node, state=NodeState.RUNNING) for node in made
        ]

    def test_create_twice_makes_nothing_new(self, provider, public_key):
        plan = plan_for("master", "node001")
        made = provider.create(plan, public_key=public_key)
        assert ids(provider.create(plan, public_key=public_key)) == ids(made)

    def test_create_adds_what_is_missing_and_leaves_the_rest_alone(self, provider, public_key):
        made = provider.create(plan_for("master"), public_key=public_key)
        grown = provider.create(plan_for("master", "node001"), public_key=public_key)
        assert ids(grown)["master"] == ids(made)["master"]
        assert set(ids(grown)) == {"master", "node001"}
        assert ids(provider.create(plan_for("node001"), public_key=public_key)).keys() == {"node001"}

    def test_an_unknown_cluster_has_no_nodes_and_destroying_it_is_success(self, provider):
        assert provider.nodes("nothing") == []
        provider.destroy("nothing")
        provider.destroy("nothing", ["node001"])

    def test_without_a_name_the_nodes_of_all_clusters_are_told_and_each_ends_by_itself(self, provider, public_key):
        provider.create(plan_for("master", cluster="one"), public_key=public_key)
        provider.create(plan_for("master", cluster="two"), public_key=public_key)
        assert sorted(node.cluster for node in provider.nodes()) == ["one", "two"]
        provider.destroy("one")
        assert [node.cluster for node in provider.nodes()] == ["two"]

    def test_destroying_some_nodes_leaves_the_others_and_create_makes_new_ones(self, provider, public_key):
        plan = plan_for("master", "node001", "node002")
        before = ids(provider.create(plan, public_key=public_key))
        provider.destroy("lab", ["node001", "node009"])
        left = [node for node in provider.nodes("lab") if node.state is not NodeState.GONE]
        assert ids(left) == {alias: before[alias] for alias in ("master", "node002")}
        after = ids(provider.create(plan, public_key=public_key))
        assert after["node001"] != before["node001"]
        assert after["node002"] == before["node002"]

    def test_destroy_ends_everything_and_may_be_repeated(self, provider, public_key):
        provider.create(plan_for("master", "node001"), public_key=public_key)
        provider.destroy("lab")
        assert [node for node in provider.nodes("lab") if node.state is not NodeState.GONE] == []
        provider.destroy("lab")

    def test_stopped_nodes_come_back_under_their_alias_as_another_boot(self, provider, public_key):
        if not isinstance(provider, Power):
            pytest.skip("this provider cannot power off")
        plan = plan_for("master", "node001")
        before = provider.create(plan, public_key=public_key)
        provider.stop("lab")
        assert {node.state for node in provider.nodes("lab")} == {NodeState.STOPPED}
        provider.stop("lab")
        after = provider.create(plan, public_key=public_key)
        assert all(node.state in UP for node in after)
        assert [node.alias for node in after] == [node.alias for node in before]
        assert not set(ids(after).values()) & set(ids(before).values())

    def test_a_stopped_cluster_can_be_destroyed(self, provider, public_key):
        if not isinstance(provider, Power):
            pytest.skip("this provider cannot power off")
        provider.create(plan_for("master"), public_key=public_key)
        provider.stop("lab")
        provider.destroy("lab")
        assert provider.nodes() == []

    def test_a_home_that_is_kept_is_there_until_the_whole_cluster_ends(self, provider, public_key):
        if not isinstance(provider, HomeKeeping):
            pytest.skip("this provider keeps no home apart from machines")
        assert provider.find_home("lab") is None
        plan = replace(plan_for("master", "node001"), home_volume=True)
        provider.create(plan, public_key=public_key)
        assert "home" in provider.find_home("lab").text
        provider.destroy("lab", ["node001"])
        provider.create(plan, public_key=public_key)
        assert "home" in provider.find_home("lab").text
        provider.destroy("lab")
        assert provider.find_home("lab") is None
