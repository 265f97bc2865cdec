"""Another home of this engine: who may use the engine may take a cluster over, and goes on with all that it has."""

from __future__ import annotations

import os

import paramiko
import pytest

from clusterctl.identity.keys import new_key_pair
from clusterctl.journal import ClusterFolder
from clusterctl.providers.base import Admitting, Shared
from clusterctl.providers.docker import DockerProvider

from ....support.containers import run
from ....support.docker_engine import things_of
from ....support.provider_contract import plan_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def test_its_nodes_let_a_new_key_in_new_ones_join_the_same_home_and_all_of_it_ends(
    make, provider, docker_image, docker_api, key, tmp_path
):
    master, worker = make("master", "node001")
    run(master, key, "mkdir -p /home/ann && echo kept > /home/ann/file")
    docker_api.stop(worker.machine_id, timeout=5)
    folder = ClusterFolder(tmp_path, "lab")
    folder.path.mkdir(parents=True)
    other = DockerProvider(
        os.environ, owner="test-someone-else", journal=lambda _: folder, cache="test", image=docker_image
    )
    assert isinstance(other, Admitting)
    assert isinstance(other, Shared)
    assert other.nodes("lab") == []
    found = {node.alias: node for node in other.find_anybodys("lab") if node.cluster_id == master.cluster_id}
    assert found["master"].owner == provider._owner
    folder.take_id(master.cluster_id)
    private, public = new_key_pair("other")
    (tmp_path / "key").write_text(private.reveal())
    own = paramiko.Ed25519Key.from_private_key_file(tmp_path / "key")
    other.admit("lab", public)
    other.admit("lab", public)
    assert run(found["master"], own, "grep -c ' other$' /root/.ssh/authorized_keys").strip() == "1"
    assert run(master, key, "true") == ""  # the first laptop still gets in
    grown = {
        node.alias: node
        for node in other.create(plan_for("master", "node001", "node002", provider="docker"), public_key=public)
    }
    assert {alias: grown[alias].machine_id for alias in ("master", "node001")} == {
        "master": master.machine_id,
        "node001": worker.machine_id,
    }
    for alias in ("node001", "node002"):
        assert run(grown[alias], own, "cat /home/ann/file").strip() == "kept"
    other.destroy("lab")
    assert things_of(docker_api, provider._owner) == things_of(docker_api, "test-someone-else") == []
