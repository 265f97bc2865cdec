"""Disks, as scripts. What they do is in tests/effects/test_disks_effects.py."""

from __future__ import annotations

import re
import subprocess
from pathlib import PurePosixPath

import pytest

from clusterctl.api import Facet, Machines, PluginError, Volume
from clusterctl.plugin.base import NoOptions
from clusterctl.plugin.loader import find_plugin_class
from clusterctl.providers.ec2.instances import instance_facets
from clusterctl.testing import fake_cluster, fake_node

MACHINE = frozenset({Facet.MACHINE})
DATA = Volume("data", PurePosixPath("/data"), device="/dev/sdb")
EBS = Volume("a-long-name-of-a-volume", PurePosixPath("/ebs"), id="vol-0123", file_system="xfs", format=True)


def volumes():
    return find_plugin_class("volumes")(NoOptions())


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
    cluster = lab(tmp_path, EBS, DATA, facets=MACHINE | {Facet.SHARED_HOME, Facet.SHARED_VOLUMES})
    for node in cluster.nodes:
        volumes().clusterctl_join(cluster, node)
    assert [ran.node for ran in cluster.ran] == ["master", "node001"]
    assert "/dev/sdb" not in cluster.ran[1].text
    assert cluster.said == []


def test_a_worker_that_only_shares_its_home_looks_for_no_volume_of_the_masters(tmp_path):
    cluster = lab(tmp_path, EBS, facets=instance_facets(shared_home=True))
    for node in cluster.nodes:
        volumes().clusterctl_join(cluster, node)
    assert [ran.node for ran in cluster.ran] == ["master"]
    assert cluster.said == [
        "Only the master has the volumes a-long-name-of-a-volume: with SHARED_HOME nothing is exported"
    ]


def test_a_folder_with_a_blank_in_its_name_is_refused(tmp_path):
    cluster = lab(tmp_path, Volume("data", PurePosixPath("/my data"), device="/dev/sdb"))
    with pytest.raises(PluginError, match="cannot be mounted on /my data"):
        volumes().clusterctl_join(cluster, cluster.master)


def test_only_a_master_is_undone(tmp_path):
    cluster = lab(tmp_path, DATA, facets=MACHINE | {Facet.LASTING})
    for node in cluster.nodes:
        volumes().clusterctl_undo(cluster, node)
    assert [(ran.node, ran.name) for ran in cluster.ran] == [("master", "volumes: leave")]


class TestGrowing:
    """What grows a file system, with other programs in the place of those that need a disk."""

    def grow(self, tmp_path, kind="ext4", *, device="/dev/x", disk="/dev/x", grower="echo 500 > size"):
        cluster = lab(tmp_path, EBS)
        volumes().clusterctl_join(cluster, cluster.master)
        (function,) = re.findall(r"^ensure_grown\(\).*?^}$", cluster.ran[0].text, re.MULTILINE | re.DOTALL)
        (tmp_path / "size").write_text("300\n")
        stubs = f"""
            findmnt() {{ cat size; }}
            blkid() {{ echo {kind}; }}
            readlink() {{ echo "$2"; }}
            resize2fs() {{ echo "resize2fs $*" >> asked; {grower}; }}
            xfs_growfs() {{ echo "xfs_growfs $*" >> asked; {grower}; }}
        """
        script = f"set -eu\n{stubs}\n{function}\nensure_grown data {device} {disk} /ebs\necho done"
        done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        asked = tmp_path / "asked"
        return done.stdout.splitlines(), asked.read_text().strip() if asked.exists() else ""

    @pytest.mark.parametrize(("kind", "asked"), [("ext4", "resize2fs /dev/x"), ("xfs", "xfs_growfs /ebs")])
    def test_it_takes_all_of_a_disk_that_has_grown(self, tmp_path, allow_subprocess, kind, asked):
        assert self.grow(tmp_path, kind) == (["changed: /ebs has grown to all of /dev/x", "done"], asked)

    def test_where_nothing_has_grown_nothing_is_said(self, tmp_path, allow_subprocess):
        assert self.grow(tmp_path, grower="true")[0] == ["done"]

    def test_one_that_cannot_grow_is_a_note_and_used_as_it_is(self, tmp_path, allow_subprocess):
        said, _ = self.grow(tmp_path, grower="false")
        assert said == ["note: volume data: its file system could not take all of /dev/x", "done"]

    @pytest.mark.parametrize("about", [{"device": "/dev/x1"}, {"kind": "btrfs"}])
    def test_a_partition_and_a_kind_that_is_not_known_are_left_alone(self, tmp_path, allow_subprocess, about):
        assert self.grow(tmp_path, **about) == (["done"], "")


def test_only_disks_of_the_provider_grow(tmp_path):
    for disk, count in ((DATA, 0), (EBS, 1)):
        cluster = lab(tmp_path, disk)
        volumes().clusterctl_join(cluster, cluster.master)
        assert cluster.ran[0].text.count('ensure_grown "$name"') == count


def test_the_volume_for_the_home_is_mounted_first_and_formatted_once(tmp_path):
    master = fake_node("master", facets=MACHINE, home_volume="vol-0456")
    cluster = fake_cluster(tmp_path, nodes=[master], machines=Machines("me", volumes=(EBS,)))
    volumes().clusterctl_join(cluster, master)
    text = cluster.ran[0].text
    home = text.index("disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0456\n")
    assert home < text.index("Elastic_Block_Store_vol0123")
    assert f"folder={master.layout.home}\n" in text
    assert 'ensure_file_system "$name" "$device" ext4 yes home\n' in text
