"""What the plugins `volumes` and `base` do to a machine's disks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from clusterctl.api import Facet, RemoteError, Volume
from clusterctl.model import MASTER

from ..support.machine_lab import LASTING, MACHINE, join, kept, plugin, tree, with_disks

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


class TestVolumes:
    def volume(self, device, **about):
        return Volume(**{"name": "data", "mount_path": PurePosixPath("/data"), "device": device, **about})

    @pytest.mark.parametrize("kind", ["ext4", "xfs"])
    def test_a_blank_one_is_formatted_only_where_that_was_asked_for(self, lab, disk, kind):
        device = disk("600M")  # xfs takes no less than 300M
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(MASTER, "mkdir -p /data")
        volumes = plugin("volumes")
        with pytest.raises(RemoteError, match=f"volume data: {device} is blank") as caught:
            join(volumes, lab.cluster(volumes=(self.volume(device, file_system=kind),)))
        assert "FORMAT = yes" in caught.value.remedy
        if kind == "xfs" and "xfs" not in Path("/proc/filesystems").read_text():
            pytest.skip("docker: this kernel has no xfs")
        cluster = lab.cluster(volumes=(self.volume(device, file_system=kind, format=True),))
        assert f"changed: a file system on {device}" in join(volumes, cluster)[MASTER]
        join(plugin("base"), cluster)
        assert lab.sh(MASTER, "stat -c %U /data; findmnt -n -o FSTYPE /data; blkid -p -o value -s LABEL " + device) == (
            f"me\n{kind}\ndata"
        )
        lab.sh(MASTER, "echo kept > /data/work", user="me")
        assert join(volumes, cluster) == {MASTER: []}
        assert "nofail" in lab.sh(MASTER, "grep -A1 '^UUID=.* /data ' /etc/fstab")
        lab.sh(MASTER, "umount /data")
        assert join(volumes, cluster) == {MASTER: [f"changed: /data is {device}"]}
        assert lab.sh(MASTER, "cat /data/work") == "kept"

    def test_what_is_no_file_system_is_never_formatted(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(MASTER, f"mkswap {device} >/dev/null; sha256sum < {device} > /tmp/before")
        cluster = lab.cluster(volumes=(self.volume(device, format=True),))
        with pytest.raises(RemoteError, match="holds swap, no file system") as caught:
            join(plugin("volumes"), cluster)
        assert "never formatted" in caught.value.remedy
        lab.sh(MASTER, f"sha256sum < {device} | cmp - /tmp/before")

    def test_a_disk_of_several_partitions_needs_the_number_of_one(self, lab, disk):
        device = disk(partitions=2)
        lab.boot(MASTER, options=(*with_disks(device), "--device-cgroup-rule", "b 259:* rwm"))
        for number in (1, 2):
            there = Path(f"/sys/class/block/{Path(device).name}p{number}/dev").read_text().strip().replace(":", " ")
            lab.sh(MASTER, f"mknod {device}p{number} b {there}")
        with pytest.raises(RemoteError, match="has several partitions"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(device, format=True),)))
        with pytest.raises(RemoteError, match="has no partition 7"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(device, partition=7, format=True),)))
        join(plugin("volumes"), lab.cluster(volumes=(self.volume(device, partition=2, format=True),)))
        assert lab.sh(MASTER, "findmnt -n -o SOURCE /data") == f"{device}p2"
        assert lab.sh(MASTER, f"blkid -p -o value -s TYPE {device}p1 || true") == ""

    def test_one_that_is_elsewhere_or_another_that_is_here_is_refused(self, lab, disk):
        one, two = disk(), disk()
        lab.boot(MASTER, options=with_disks(one, two))
        lab.sh(MASTER, f"mkfs.ext4 -q {one}; mkfs.ext4 -q {two}; mkdir -p /data /other; mount {one} /other")
        with pytest.raises(RemoteError, match=f"{one} is mounted on /other already"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(one),)))
        with pytest.raises(RemoteError, match=f"{one} is mounted on /other$"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(two, mount_path=PurePosixPath("/other")),)))

    def test_one_that_the_provider_mounts_is_only_looked_at(self, lab):
        lab.boot(MASTER, options=("-v", f"{lab.name}-home:/data"), facets=MACHINE | {Facet.SHARED_HOME})
        cluster = lab.cluster(volumes=(self.volume("", id="vol"),))
        assert join(plugin("volumes"), cluster) == {MASTER: []}
        assert "changed: owner of /data" in join(plugin("base"), cluster)[MASTER]

    def test_the_owner_of_a_home_on_a_volume_is_the_users_number(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(
            MASTER,
            f"mkfs.ext4 -q {device}; mount {device} /mnt; mkdir /mnt/me; touch /mnt/me/work"
            "; chown -R 4711 /mnt/me; umount /mnt",
        )
        cluster = lab.cluster(volumes=(self.volume(device, mount_path=PurePosixPath("/home")),))
        join(plugin("volumes"), cluster)
        join(plugin("base"), cluster)
        assert lab.sh(MASTER, "id -u me; ls /home/me; stat -c %U /home") == "4711\nwork\nroot"

    def test_it_leaves_a_host_that_lasts_as_it_was(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device), facets=LASTING)
        before, files = kept(lab, MASTER), tree(lab, MASTER)
        cluster = lab.cluster(volumes=(self.volume(device, format=True),))
        volumes, base = plugin("volumes"), plugin("base", keep_home=False)
        join(volumes, cluster)
        join(base, cluster)
        lab.sh(MASTER, "touch /data/work")
        base.clusterctl_undo(cluster, cluster.master)
        volumes.clusterctl_undo(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files)
        lab.sh(MASTER, f"mount {device} /mnt && ls /mnt/work && umount /mnt")


class TestScratch:
    def test_an_empty_disk_becomes_scratch_space_and_stays_it(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device), facets=LASTING)
        before, files = kept(lab, MASTER), tree(lab, MASTER)
        base, cluster = plugin("base", scratch=device, scratch_path="/big", keep_home=False), lab.cluster()
        assert f"changed: a file system on {device}" in join(base, cluster)[MASTER]
        assert lab.sh(MASTER, "findmnt -n -o SOURCE /big; stat -c %U /big/me") == f"{device}\nme"
        assert join(base, cluster) == {MASTER: []}
        lab.sh(MASTER, "touch /big/me/x; umount /big")
        join(base, cluster)
        assert lab.sh(MASTER, "ls /big/me") == "x", "it was formatted again"
        base.clusterctl_undo(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files)

    def test_a_disk_with_anything_on_it_is_never_touched(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(MASTER, f"mkfs.ext4 -q -L precious {device}")
        with pytest.raises(RemoteError, match=f"{device} is to be scratch space and holds something"):
            join(plugin("base", scratch=device), lab.cluster())
        assert lab.sh(MASTER, f"blkid -p -o value -s LABEL {device}") == "precious"

    def test_several_make_one_stripe_or_the_first_alone(self, lab, disk):
        one, two = disk(), disk()
        lab.boot(MASTER, options=(*with_disks(one, two), "--network", "none"))
        lab.nodes[MASTER] = replace(lab.nodes[MASTER], private_address="10.0.0.1")
        join(plugin("base", scratch=f"{one}, {two}"), lab.cluster())
        assert any("there is no mdadm: of 2 empty disks only" in said for said in lab.said)
        assert lab.sh(MASTER, "findmnt -n -o SOURCE /scratch") == one
        assert lab.sh(MASTER, f"blkid -p {two}", check=False).returncode == 2

    def test_none_makes_no_folder(self, lab):
        lab.boot(MASTER)
        join(plugin("base", scratch="none"), lab.cluster())
        assert lab.sh(MASTER, "ls -d /scratch", check=False).returncode != 0
