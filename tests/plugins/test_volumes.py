"""Disks, as scripts. What they do is in test_machine_effects.py."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from clusterctl.api import Facet, Machines, PluginError, Volume
from clusterctl.plugin_host import NoOptions, find
from clusterctl.testing import fake_cluster, fake_node

MACHINE = frozenset({Facet.MACHINE})
DATA = Volume("data", PurePosixPath("/data"), device="/dev/sdb")
EBS = Volume("a-long-name-of-a-volume", PurePosixPath("/ebs"), id="vol-0123", file_system="xfs", format=True)


def volumes():
    return find("volumes")(NoOptions())


def lab(tmp_path, *disks, facets=MACHINE):
    nodes = [fake_node(alias, facets=facets) for alias in ("master", "node001")]
    return fake_cluster(tmp_path, nodes=nodes, machines=Machines("me", volumes=disks))


def test_without_volumes_no_command_is_run(tmp_path):
    cluster = lab(tmp_path)
    volumes().clusterctl_join(cluster, cluster.master)
    assert cluster.ran == []


def test_the_master_mounts_all_of_them_in_one_script_and_workers_none(tmp_path):
    cluster = lab(tmp_path, DATA, EBS)
    for node in cluster.nodes:
        volumes().clusterctl_join(cluster, node)
    assert [(ran.node, ran.sudo) for ran in cluster.ran] == [("master", True)]
    text = cluster.ran[0].text
    assert "disk=/dev/sdb\n" in text
    assert "disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123\n" in text
    assert 'ensure_file_system "$name" "$device" ext4 no data\n' in text
    assert 'ensure_file_system "$name" "$device" xfs yes a-long-name-\n' in text


def test_where_every_node_has_them_every_node_is_looked_at(tmp_path):
    cluster = lab(tmp_path, EBS, DATA, facets=MACHINE | {Facet.SHARED_HOME})
    for node in cluster.nodes:
        volumes().clusterctl_join(cluster, node)
    assert [ran.node for ran in cluster.ran] == ["master", "node001"]
    assert "/dev/sdb" not in cluster.ran[1].text


def test_a_folder_with_a_blank_in_its_name_is_refused(tmp_path):
    cluster = lab(tmp_path, Volume("data", PurePosixPath("/my data"), device="/dev/sdb"))
    with pytest.raises(PluginError, match="cannot be mounted on /my data"):
        volumes().clusterctl_join(cluster, cluster.master)


def test_only_a_master_that_lasts_and_answers_is_undone(tmp_path):
    cluster = lab(tmp_path, DATA)
    volumes().clusterctl_leave(cluster, cluster.master)
    assert cluster.ran == []
    cluster = lab(tmp_path, DATA, facets=MACHINE | {Facet.LASTING})
    for node in cluster.nodes:
        volumes().clusterctl_leave(cluster, node)
    assert [(ran.node, ran.name) for ran in cluster.ran] == [("master", "volumes: leave")]
