"""What a destroy, an interrupt and a refusal leave on a real engine: nothing."""

from __future__ import annotations

import os
import threading

import pytest

from clusterctl.errors import ProviderError, UnprovenError
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.providers.docker import DockerProvider, containers

from ....support.containers import run, volume
from ....support.docker_engine import things_of
from ....support.provider_contract import ids, plan_for


@pytest.mark.docker
@pytest.mark.timeout(600)  # the image is made by whoever needs it first
class TestNothingIsLeft:
    def test_destroy_leaves_no_container_network_or_home_but_named_volumes_with_what_is_in_them(
        self, make, provider, docker_api, key
    ):
        name = f"{provider._owner}-data"
        try:
            master, worker = make("master", "node001", volumes=(volume(id=name),))
            run(master, key, "echo kept >/data/file")
            assert run(worker, key, "cat /data/file").strip() == "kept"
            assert len(things_of(docker_api, provider._owner)) == 4
            provider.destroy("lab")
            assert things_of(docker_api, provider._owner) == []
            (master,) = make("master", volumes=(volume(id=name),))
            assert run(master, key, "cat /data/file").strip() == "kept"
            provider.destroy("lab")
        finally:
            docker_api.remove_volume(name)

    def test_a_ctrl_c_during_create_leaves_nothing(self, make, provider, docker_api, monkeypatch):
        usual = containers.create_container
        count = threading.Semaphore(1)

        def interrupted(*arguments, **options):
            if not count.acquire(blocking=False):
                raise KeyboardInterrupt
            usual(*arguments, **options)

        monkeypatch.setattr(containers, "create_container", interrupted)
        name = f"{provider._owner}-data"
        with pytest.raises(KeyboardInterrupt):
            make("master", "node001", "node002", volumes=(volume(id=name),))
        assert things_of(docker_api, provider._owner) == []
        assert name not in [found["Name"] for found in docker_api.volumes()["Volumes"] or []]

    def test_the_probe_of_a_create_that_was_killed_is_no_network_and_goes(
        self, make, provider, docker_api, monkeypatch
    ):
        class KilledError(BaseException):
            pass

        def kill(*_, **__):
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(type(docker_api), "remove_network", kill)
            with pytest.raises(KilledError):
                make("master")
        assert [thing for thing in things_of(docker_api, provider._owner) if "probe" in thing]
        make("master")
        assert not [thing for thing in things_of(docker_api, provider._owner) if "probe" in thing]

    def test_a_create_that_is_refused_half_way_keeps_what_was_there_as_it_was(
        self, make, provider, docker_api, monkeypatch
    ):
        before = ids(make("master", "node001"))
        docker_api.stop(before["node001"].split("@")[0], timeout=5)
        things = sorted(things_of(docker_api, provider._owner))

        def refuse(*_arguments, **_options):
            raise ProviderError("no", remedy="none")

        monkeypatch.setattr(containers, "create_container", refuse)
        with pytest.raises(ProviderError, match="no"):
            make("master", "node001", "node002")
        now = {node.alias: node for node in provider.nodes("lab")}
        assert (now["master"].state, now["node001"].state) == (NodeState.RUNNING, NodeState.STOPPED)
        assert now["master"].id == before["master"]
        assert sorted(things_of(docker_api, provider._owner)) == things

    def test_what_cannot_be_removed_is_named_and_a_second_try_succeeds(
        self, make, provider, docker_api, docker_image, monkeypatch
    ):
        make("master")
        monkeypatch.setattr("clusterctl.providers.docker.provider._TRIES", 2)
        (network,) = docker_api.networks(filters={"label": f"clusterctl.owner={provider._owner}"})
        guest = docker_api.create_container(
            docker_image,
            ["sleep", "1000"],
            host_config=docker_api.create_host_config(network_mode=network["Id"]),
        )
        docker_api.start(guest["Id"])
        try:
            with pytest.raises(ProviderError, match=network["Name"]) as caught:
                provider.destroy("lab")
            assert "clusterctl terminate lab" in caught.value.remedy
        finally:
            docker_api.remove_container(guest["Id"], force=True)
        provider.destroy("lab")
        assert things_of(docker_api, provider._owner) == []

    def test_of_two_homes_with_one_owner_each_ends_its_own_and_neither_without_an_id(
        self, make, provider, docker_image, docker_api, tmp_path
    ):
        (node,) = make("master")
        folder = ClusterFolder(tmp_path, "lab")
        folder.path.mkdir(parents=True)
        twin = DockerProvider(os.environ, owner=provider._owner, journal=lambda _: folder, image=docker_image)
        for act in (twin.destroy, twin.stop):
            with pytest.raises(UnprovenError, match=f"id {node.cluster_id}: 1 node"):
                act("lab")
        folder.ensure_id()
        twin.destroy("lab")
        twin.stop("lab")
        assert twin.nodes("lab") == []
        with pytest.raises(ProviderError, match="is there already"):
            twin.create(plan_for("master"), public_key="ssh-ed25519 AAAA")
        assert [each.state for each in provider.nodes("lab")] == [NodeState.RUNNING]
        folder.take_id(node.cluster_id)
        twin.destroy("lab")
        assert things_of(docker_api, provider._owner) == []

    def test_nodes_of_another_owner_are_not_seen(self, make, provider, docker_image, tmp_path):
        make("master")
        owner = f"{provider._owner}-other"
        other = DockerProvider(
            os.environ, owner=owner, journal=lambda name: ClusterFolder(tmp_path, name), image=docker_image
        )
        assert other.nodes() == []
        other.destroy("lab")
        assert len(provider.nodes()) == 1
