"""Hosts that exist: which are taken, and whether they are up."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace

import pytest

from clusterctl.errors import ProviderError
from clusterctl.model import Access, Facet, NodeState
from clusterctl.providers.base import Power
from clusterctl.providers.bounded import Bounded
from clusterctl.providers.static import StaticProvider

from ....support.provider_contract import ProviderContract, plan_for
from ....support.static_hosts import FAR, KEY, host, provider_of


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, root, listening):
        return provider_of(root, *(host(f"h{n}", port=listening().getsockname()[1]) for n in range(5)))


@pytest.mark.usefixtures("gate")
class TestTaking:
    def create(self, provider, *aliases, cluster="lab", user="me"):
        return {
            node.alias: node
            for node in provider.create(replace(plan_for(*aliases, cluster=cluster), user=user), public_key="")
        }

    def test_a_cluster_can_have_its_own_hosts_and_those_that_are_free(self, root):
        provider = provider_of(root, *FAR)
        self.create(provider, "master", cluster="other")
        self.create(provider, "master")
        assert isinstance(provider, Bounded)
        assert [provider.most_nodes(name) for name in ("lab", "other", "new")] == [2, 2, 1]

    def test_aliases_take_hosts_in_order_the_master_the_first(self, root):
        nodes = self.create(provider_of(root, *FAR), "node001", "master")
        assert {alias: node.address for alias, node in nodes.items()} == {
            "master": "192.0.2.1",
            "node001": "192.0.2.2",
        }

    def test_an_alias_keeps_its_host_though_the_order_changes_and_takes_what_the_config_says_now(self, root):
        before = self.create(provider_of(root, *FAR), "master", "node001")
        turned = [replace(each, user="admin") for each in reversed(FAR)]
        after = self.create(provider_of(root, *turned), "master", "node001", "node002")
        assert [after[alias].id for alias in before] == [before[alias].id for alias in before]
        assert (after["node002"].address, after["master"].user) == ("192.0.2.3", "admin")

    def test_a_host_that_left_is_free_and_whoever_takes_it_is_a_new_member(self, root):
        provider = provider_of(root, *FAR)
        before = self.create(provider, "master", "node001", "node002")
        provider.destroy("lab", ["node001"])
        after = self.create(provider, "master", "node002", "node003")
        assert after["node003"].address == before["node001"].address
        assert after["node003"].id != before["node001"].id.replace("node001", "node003")

    def test_one_that_moved_to_another_address_is_a_new_member(self, root):
        before = self.create(provider_of(root, *FAR), "master")
        after = self.create(provider_of(root, replace(FAR[0], address="192.0.2.77")), "master")
        assert after["master"].id != before["master"].id
        assert after["master"].address == "192.0.2.77"

    def test_a_host_of_another_cluster_is_not_taken_though_it_has_another_name_there(self, root):
        self.create(provider_of(root, replace(FAR[0], name="a")), "master", cluster="other")
        provider = provider_of(root, *FAR)
        assert self.create(provider, "master")["master"].address == "192.0.2.2"
        (problem,) = provider.check(plan_for("master", "node001", "node002"))
        assert problem.message == "lab needs 3 hosts, and HOSTS has 2 for it; others belong to other"

    def test_too_few_are_refused_and_nothing_is_taken(self, root):
        provider = provider_of(root, *FAR[:1])
        with pytest.raises(ProviderError, match="lab needs 2 hosts, and HOSTS has 1 for it") as caught:
            self.create(provider, "master", "node001")
        assert "add hosts" in caught.value.remedy
        assert provider.nodes() == []

    def test_a_host_that_is_not_listed_any_more_must_leave_first(self, root):
        self.create(provider_of(root, *FAR), "master", "node001")
        messages = provider_of(root, FAR[1]).check(plan_for("master", "node001"))
        (problem,) = [each for each in messages if "alpha" in each.message]
        assert problem.message == "master of lab is on alpha, which HOSTS does not name any more"
        assert "terminate lab" in problem.remedy
        (problem,) = provider_of(root, FAR[0], FAR[2]).check(plan_for("master", "node001"))
        assert "removenode -a node001 lab" in problem.remedy

    def test_a_node_is_what_the_config_says(self, root):
        node = self.create(provider_of(root, *FAR), "master")["master"]
        assert node.access == Access(agent=True, jump="198.51.100.1")
        assert (node.private_address, node.user, node.cores) == ("192.0.2.1", "me", None)
        assert node.host_key == " ".join(KEY.split()[:2])
        assert str(node.layout.home) == "/home/me"
        assert node.facets == {Facet.MACHINE, Facet.INIT, Facet.LASTING}

    def test_a_key_file_takes_the_place_of_the_agent(self, root, tmp_path):
        (tmp_path / "id").touch()
        provider = provider_of(root, host("alpha", address="192.0.2.1", key=str(tmp_path / "id"), jump="198.51.100.1"))
        assert self.create(provider, "master")["master"].access == Access(key=str(tmp_path / "id"), jump="198.51.100.1")

    def test_a_shared_home_is_said_by_provider_and_nodes_also_later_without_the_config(self, root):
        provider = provider_of(root, *FAR, shared_home=True)
        self.create(provider, "master")
        assert Facet.SHARED_HOME in provider.facets
        assert Facet.SHARED_HOME in StaticProvider(root).nodes("lab")[0].facets
        assert Facet.SHARED_HOME not in StaticProvider(root).facets

    def test_without_the_config_what_is_taken_is_told_and_freed(self, root):
        self.create(provider_of(root, *FAR), "master", "node001")
        bare = StaticProvider(root)
        assert [node.alias for node in bare.nodes()] == ["master", "node001"]
        bare.destroy("lab")
        assert provider_of(root, *FAR).nodes() == []
        assert not list(root.glob("*.json"))

    def test_nothing_is_powered_off(self, root):
        assert not isinstance(provider_of(root), Power)

    def test_two_that_take_hosts_at_once_take_different_ones(self, root):
        taken = {}

        def take(cluster):
            taken[cluster] = self.create(provider_of(root, *FAR), "master", cluster=cluster)["master"].address

        threads = [threading.Thread(target=take, args=(name,)) for name in ("one", "two", "three")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken.values()) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


class TestState:
    def test_one_that_takes_no_connection_is_stopped(self, root, listening):
        ports = [listening(), listening()]
        hosts = [host(f"h{n}", port=port.getsockname()[1]) for n, port in enumerate(ports)]
        provider = provider_of(root, *hosts)
        provider.create(plan_for("master", "node001"), public_key="")
        ports[1].close()
        assert [node.state for node in provider.nodes("lab")] == [NodeState.RUNNING, NodeState.STOPPED]

    def test_one_behind_a_gateway_is_taken_for_up_and_not_connected_to(self, root, gate, monkeypatch):
        monkeypatch.delattr(socket, "create_connection")
        provider = provider_of(root, FAR[0])
        provider.create(plan_for("master"), public_key="")
        assert provider.nodes("lab")[0].state == NodeState.RUNNING


class Noted:
    """A journal that knows an id."""

    cluster_id = "feed"


@pytest.mark.usefixtures("gate")
class TestAdopting:
    """Hosts that a cluster has already, and whose note on this computer is lost."""

    @pytest.fixture
    def nodes(self, root):
        provider = provider_of(root, *FAR, journal=lambda cluster: Noted())
        made = provider.create(replace(plan_for("master", "node001"), user="me"), public_key="")
        provider.destroy("lab")
        return made

    def test_they_are_the_nodes_that_they_were_under_their_ids(self, root, nodes):
        provider_of(root, *reversed(FAR)).adopt("lab", "me", nodes)
        assert provider_of(root).nodes("lab") == nodes
        assert {node.cluster_id for node in nodes} == {"feed"}
        kept = provider_of(root, *FAR).create(plan_for("master", "node001"), public_key="")
        assert [node.id for node in kept] == [node.id for node in nodes]

    def test_one_that_the_config_does_not_have_is_refused_and_nothing_is_noted(self, root, nodes):
        with pytest.raises(ProviderError, match="hosts of master are not in the config"):
            provider_of(root, *FAR[1:]).adopt("lab", "me", nodes)
        assert provider_of(root).nodes() == []

    def test_one_that_another_cluster_has_here_is_refused(self, root, nodes):
        provider_of(root, *FAR).create(plan_for("master", cluster="other"), public_key="")
        with pytest.raises(ProviderError, match="hosts of master belong to other"):
            provider_of(root, *FAR).adopt("lab", "me", nodes)
        assert {node.cluster for node in provider_of(root).nodes()} == {"other"}

    def test_one_that_comes_back_after_it_left_has_an_id_of_its_own(self, root, nodes):
        provider = provider_of(root, *FAR)
        provider.adopt("lab", "me", nodes)
        provider.destroy("lab", ["node001"])
        (again,) = provider.create(plan_for("master", "node001"), public_key="")[1:]
        assert again.id != nodes[1].id

    def test_a_note_of_an_earlier_version_has_no_id_and_is_read(self, root, nodes):
        provider_of(root, *FAR).adopt("lab", "me", nodes)
        for name in ("lab.json", "lab.copy"):
            content = json.loads((root / name).read_text())
            del content["id"]
            for member in content["members"].values():
                del member["id"]
            (root / name).write_text(json.dumps(content))
        assert {node.cluster_id for node in provider_of(root).nodes("lab")} == {""}
