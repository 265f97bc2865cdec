"""Shared folders, as scripts."""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from clusterctl.api import Facet, Machines, PluginError, Request, Volume
from clusterctl.plugin.host import PluginHost
from clusterctl.plugin.loader import find_plugin_class, options_model, why_not_needed
from clusterctl.providers.base import machine_layout
from clusterctl.testing import fake_cluster, fake_node

SYSTEMD = frozenset({Facet.MACHINE, Facet.INIT})
LASTING = SYSTEMD | {Facet.LASTING}


def nfs(**options):
    plugin = find_plugin_class("nfs")
    return plugin(options_model(plugin)(**options))


def lab(tmp_path, workers=2, *, facets=SYSTEMD, volumes=(), shared=(), **about):
    aliases = ["master", *(f"node{number:03d}" for number in range(1, workers + 1))]
    nodes = [
        fake_node(alias, facets=facets, private_address=f"10.0.0.{n}", user="root", layout=machine_layout("me"))
        for n, alias in enumerate(aliases, start=1)
    ]
    machines = Machines("me", volumes=tuple(volumes))
    return fake_cluster(tmp_path, nodes=nodes, machines=machines, request=Request(shared=tuple(shared)), **about)


def exports(script):
    found = re.search(r"clusterctl\.exports 644 <<'CLUSTERCTL_EOF'\n(.*?)CLUSTERCTL_EOF", script, re.DOTALL)
    return [line for line in found[1].splitlines() if not line.startswith("#")]


def fstab(script):
    found = re.search(r"put_block /etc/fstab nfs <<'CLUSTERCTL_EOF'\n(.*?)CLUSTERCTL_EOF", script, re.DOTALL)
    return found[1].splitlines()


def test_it_has_nothing_to_do_where_homes_are_shared_or_nodes_are_no_machines():
    assert why_not_needed(find_plugin_class("nfs"), frozenset())
    assert "shared_home" in why_not_needed(find_plugin_class("nfs"), SYSTEMD | {Facet.SHARED_HOME})
    assert why_not_needed(find_plugin_class("nfs"), SYSTEMD) == ""


def test_the_home_alone_is_shared_and_with_the_workers_alone(tmp_path):
    cluster = lab(tmp_path)
    nfs().clusterctl_join(cluster, cluster.master)
    options = "(rw,sync,no_subtree_check,root_squash)"
    assert exports(cluster.ran[0].text) == [f'"/home/me" 10.0.0.2{options} 10.0.0.3{options}']


def test_an_instance_shares_and_mounts_as_a_host_does(tmp_path):
    """What virtual machines show with hosts holds for EC2."""
    scripts = []
    for facets in (SYSTEMD, LASTING):
        cluster = lab(tmp_path, facets=facets)
        for node in cluster.nodes:
            nfs().clusterctl_join(cluster, node)
        scripts.append([ran.text for ran in cluster.ran])
    instances, hosts = scripts
    assert instances == hosts
    assert len(hosts) == 3


def test_what_plugins_volumes_and_paths_want_is_shared_too_and_mounted_once(tmp_path):
    volumes = [Volume("data", PurePosixPath("/opt/data"), device="/dev/sdb")]
    cluster = lab(tmp_path, 1, volumes=volumes, shared=("/home/users",))
    plugin = nfs(paths="/home, /opt/data", no_root_squash=True, mount_options="nconnect=4")
    plugin.clusterctl_join(cluster, cluster.master)
    plugin.clusterctl_join(cluster, cluster.node("node001"))
    exported, mounted = (ran.text for ran in cluster.ran)
    assert [line.split()[0] for line in exports(exported)] == ['"/home"', '"/home/me"', '"/home/users"', '"/opt/data"']
    assert "no_root_squash" in exports(exported)[0]
    assert [line.endswith(",mountpoint)") for line in exports(exported)] == [False, False, False, True]
    assert [line.split()[0] for line in fstab(mounted)] == ["10.0.0.1:/home", "10.0.0.1:/opt/data"]
    _, folder, kind, options, *rest = fstab(mounted)[0].split()
    assert (folder, kind, rest) == ("/home", "nfs4", ["0", "0"])
    assert {"hard", "nofail", "_netdev", "x-systemd.automount", "nconnect=4"} <= set(options.split(","))


def test_workers_cost_the_master_nothing_as_all_are_known_to_it(tmp_path):
    cluster = lab(tmp_path, 3)
    plugin = nfs()
    for node in cluster.nodes:
        plugin.clusterctl_join(cluster, node)
    plugin.clusterctl_members(cluster)
    assert [(ran.node, ran.name) for ran in cluster.ran] == [
        ("master", "nfs: export"),
        *((f"node{number:03d}", "nfs: mount") for number in (1, 2, 3)),
    ]


def test_new_workers_are_exported_to_before_they_mount_once_for_all(tmp_path):
    before = lab(tmp_path, 1)
    nfs().clusterctl_join(before, before.master)
    cluster = lab(tmp_path, 4, notes=before.remembered)
    plugin = nfs()
    joins = [threading.Thread(target=plugin.clusterctl_join, args=(cluster, node)) for node in cluster.workers[1:]]
    for join in joins:
        join.start()
    for join in joins:
        join.join()
    names = [ran.name for ran in cluster.ran]
    assert names[0] == "nfs: export"
    assert sorted(names) == ["nfs: export", *["nfs: mount"] * 3]
    assert "10.0.0.5(" in exports(cluster.ran[0].text)[0]
    assert "systemctl" not in cluster.ran[0].text, "the server runs already"


def test_who_left_is_exported_to_no_more_even_by_another_run(tmp_path):
    before = lab(tmp_path, 2, shared=("/home/users",))
    nfs().clusterctl_join(before, before.master)
    cluster = lab(tmp_path, 1, notes=before.remembered)  # whose request is empty, as in `removenode`
    nfs().clusterctl_members(cluster)
    (ran,) = cluster.ran
    assert [line.split()[0] for line in exports(ran.text)] == ['"/home/me"', '"/home/users"']
    assert "10.0.0.3" not in ran.text
    again = lab(tmp_path, 1, notes={**before.remembered, **cluster.remembered})
    nfs().clusterctl_members(again)
    assert again.ran == []


def test_a_master_out_of_reach_is_not_told(tmp_path):
    before = lab(tmp_path, 2)
    nfs().clusterctl_join(before, before.master)
    cluster = lab(tmp_path, 1, notes=before.remembered)
    cluster.mark_unreachable("master")
    nfs().clusterctl_members(cluster)
    assert cluster.ran == []


def test_without_workers_nothing_is_exported(tmp_path):
    cluster = lab(tmp_path, 0)
    nfs().clusterctl_join(cluster, cluster.master)
    assert exports(cluster.ran[0].text) == []


@pytest.mark.parametrize(
    ("workers", "options", "threads"), [(1, {}, 16), (5, {}, 40), (99, {}, 256), (5, {"threads": 7}, 7)]
)
def test_the_server_has_as_many_threads_as_workers_need(tmp_path, workers, options, threads):
    cluster = lab(tmp_path, workers)
    nfs(**options).clusterctl_join(cluster, cluster.master)
    assert f"[nfsd]\nvers3=n\nthreads={threads}\n" in cluster.ran[0].text


def test_an_ipv6_master_is_written_as_mount_reads_it(tmp_path):
    cluster = lab(tmp_path)
    cluster.update_node(replace(cluster.master, private_address="fd00::1"))
    nfs().clusterctl_join(cluster, cluster.master)
    nfs().clusterctl_join(cluster, cluster.node("node001"))
    assert fstab(cluster.ran[-1].text)[0].startswith("[fd00::1]:/home/me /home/me nfs4 ")


def test_nodes_without_systemd_are_refused(tmp_path):
    cluster = lab(tmp_path, facets=frozenset({Facet.MACHINE}))
    with pytest.raises(PluginError, match="master: NFS needs systemd") as caught:
        nfs().clusterctl_join(cluster, cluster.master)
    assert "SHARED_HOME" in caught.value.remedy


def test_the_home_that_a_host_is_logged_in_to_is_not_hidden(tmp_path):
    cluster = lab(tmp_path, facets=LASTING)
    nfs().clusterctl_join(cluster, cluster.master)
    cluster.update_node(replace(cluster.node("node001"), user="me"))
    with pytest.raises(PluginError, match="me logs in there") as caught:
        nfs().clusterctl_join(cluster, cluster.node("node001"))
    assert "CLUSTER_USER" in caught.value.remedy


@pytest.mark.parametrize("path", ["data", "/a b", "/../etc", "/", '/a"b'])
def test_what_is_no_folder_below_the_root_is_refused(tmp_path, path):
    cluster = lab(tmp_path)
    with pytest.raises(PluginError, match="these cannot be shared"):
        nfs(paths=path).clusterctl_join(cluster, cluster.master)


def test_hosts_are_left_as_they_were(tmp_path):
    cluster = lab(tmp_path, 1, facets=LASTING)
    for node in cluster.nodes:
        nfs().clusterctl_undo(cluster, node)
    assert [ran.node for ran in cluster.ran] == ["master", "node001"]
    assert "exportfs" in cluster.ran[0].text
    assert "umount" in cluster.ran[1].text


EFS = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:/"


class TestFromElsewhere:
    def test_every_node_mounts_and_nobody_serves(self, tmp_path):
        cluster = lab(tmp_path, 2, shared=("/home/users",))
        plugin = nfs(server="files.example.org:/lab/", paths="/opt/data", mount_options="nconnect=4")
        for node in cluster.nodes:
            plugin.clusterctl_join(cluster, node)
        plugin.clusterctl_members(cluster)
        assert [(ran.node, ran.name) for ran in cluster.ran] == [
            (alias, "nfs: mount") for alias in ("master", "node001", "node002")
        ]
        assert plugin.clusterctl_request().apt == ("nfs-common",)
        for ran in cluster.ran:
            lines = fstab(ran.text)
            assert [line.split()[:3] for line in lines] == [
                [f"files.example.org:/lab{folder}", folder, "nfs4"]
                for folder in ("/home/me", "/home/users", "/opt/data")
            ]
            options = lines[0].split()[3].split(",")
            assert {"hard", "nofail", "x-systemd.automount", "nfsvers=4.1", "timeo=600", "nconnect=4"} <= set(options)
            assert "noresvport" not in options, "a Linux server refuses such clients"
            assert "exportfs" not in ran.text

    def test_the_first_node_alone_makes_the_folders(self, tmp_path):
        cluster = lab(tmp_path, 1)
        plugin = nfs(server="files.example.org:/lab")
        for node in cluster.nodes:
            plugin.clusterctl_join(cluster, node)
        assert ["make_folders" in ran.text for ran in cluster.ran] == [True, False]
        assert "elsewhere=files.example.org:/lab\n" in cluster.ran[0].text

    @pytest.mark.parametrize("server", [EFS, "fs-01.efs.cn-north-1.amazonaws.com.cn:/"])
    def test_efs_is_mounted_as_aws_advises(self, tmp_path, server):
        cluster = lab(tmp_path, 1)
        nfs(server=server).clusterctl_join(cluster, cluster.master)
        advised = {"nfsvers=4.1", "rsize=1048576", "wsize=1048576", "hard", "timeo=600", "retrans=2", "noresvport"}
        assert advised <= set(fstab(cluster.ran[0].text)[0].split()[3].split(","))
        assert fstab(cluster.ran[0].text)[0].startswith(f"{server}home/me /home/me nfs4 ")

    def test_it_acts_before_there_is_a_user_and_the_masters_own_after_it(self):
        def order(**options):
            choices = [
                (name, find_plugin_class(name), options_model(find_plugin_class(name))(**given))
                for name, given in (("volumes", {}), ("base", {}), ("nfs", options), ("packages", {}))
            ]
            return PluginHost(choices).plugin_names

        assert order() == ("volumes", "base", "nfs", "packages")
        assert order(server=EFS) == ("nfs", "volumes", "base", "packages")

    def test_an_ipv6_server_is_written_as_mount_reads_it(self, tmp_path):
        cluster = lab(tmp_path, 1)
        nfs(server="[fd00::2]:/").clusterctl_join(cluster, cluster.master)
        assert fstab(cluster.ran[0].text)[0].startswith("[fd00::2]:/home/me /home/me nfs4 ")

    @pytest.mark.parametrize("server", ["fs-0123456789abcdef0", "files:data", "files:/a b", "fd00::2:/", "/data", ":/"])
    def test_what_is_no_place_is_refused_before_anything_is_created(self, server):
        with pytest.raises(PluginError, match=r"SERVER in \[plugin nfs\] is") as caught:
            nfs(server=server).clusterctl_request()
        assert "HOST:/PATH" in caught.value.remedy

    def test_lustre_is_refused_with_what_to_do(self):
        with pytest.raises(PluginError, match="FSx for Lustre, which speaks no NFS") as caught:
            nfs(server="fs-0123456789abcdef0.fsx.us-east-1.amazonaws.com@tcp:/abcdefgh").clusterctl_request()
        assert "FSx for OpenZFS" in caught.value.remedy

    def test_volumes_which_no_worker_would_see_are_refused(self, tmp_path):
        cluster = lab(tmp_path, volumes=[Volume("data", PurePosixPath("/data"), device="/dev/sdb")])
        with pytest.raises(PluginError, match="no worker would see the volumes: data"):
            nfs(server=EFS).clusterctl_prepare(cluster)
        nfs().clusterctl_prepare(cluster)

    @pytest.mark.parametrize(
        ("before", "after"), [({}, {"server": EFS}), ({"server": EFS}, {}), ({"server": EFS}, {"server": "x:/"})]
    )
    def test_homes_do_not_move_while_the_cluster_exists(self, tmp_path, before, after):
        first = lab(tmp_path, 1)
        nfs(**before).clusterctl_prepare(first)
        nfs(**before).clusterctl_join(first, first.master)
        again = lab(tmp_path, 1, notes=first.remembered)
        nfs(**before).clusterctl_prepare(again)
        with pytest.raises(PluginError, match="cannot move to") as caught:
            nfs(**after).clusterctl_prepare(again)
        assert "clusterctl terminate lab" in caught.value.remedy

    @pytest.mark.parametrize(("login", "paths"), [("me", ""), ("admin", "/home"), ("admin", "/home/admin")])
    def test_the_home_of_who_logs_in_is_not_hidden_with_its_keys(self, tmp_path, login, paths):
        cluster = lab(tmp_path, 1)
        for node in cluster.nodes:
            cluster.update_node(replace(node, user=login))
        with pytest.raises(PluginError, match=f"{login} logs in there"):
            nfs(server=EFS, paths=paths).clusterctl_join(cluster, cluster.master)

    def test_every_host_that_lasts_is_left_without_the_mounts(self, tmp_path):
        cluster = lab(tmp_path, 1, facets=LASTING)
        for node in cluster.nodes:
            nfs(server=EFS).clusterctl_undo(cluster, node)
        assert ["umount" in ran.text for ran in cluster.ran] == [True, True]


class TestAnotherMaster:
    """A worker whose master has come back at another address."""

    @pytest.fixture
    def worker(self, tmp_path, allow_subprocess):
        """Returns a function that joins it again, as far as its mounts; what that undid."""
        (tmp_path / "fstab").write_text("/dev/sda1 / ext4 defaults 0 1\n")

        def join(master, *, stub="unmount() { echo unmounts $1; }", status=0):
            cluster = lab(tmp_path / "c", 1)
            cluster.set_nodes([replace(cluster.master, private_address=master), cluster.node("node001")])
            nfs().clusterctl_join(cluster, cluster.node("node001"))
            script = cluster.ran[-1].text
            whole = script[: script.index("folder=/home/me\n")]
            begin, end = whole.index("# Installed on all nodes alike"), whole.index("touch /etc/fstab")
            parts = f"{whole[:begin]}kind_of() {{ :; }}\n{stub}\n{whole[end:]}"
            text = parts.replace("/etc/fstab", f"{tmp_path}/fstab").replace("/var/lib/clusterctl", str(tmp_path))
            done = subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True)
            assert done.returncode == status, done.stderr
            return [line for line in done.stdout.splitlines() if line.startswith("unmounts")]

        return join

    def test_what_was_mounted_of_the_former_one_is_mounted_anew(self, worker, tmp_path):
        assert worker("10.0.0.1") == []
        assert worker("10.0.0.1") == []
        assert worker("10.0.0.7") == ["unmounts /home/me"]
        assert "10.0.0.7:/home/me /home/me nfs4" in (tmp_path / "fstab").read_text()
        assert worker("10.0.0.7") == []

    def test_who_was_killed_after_fstab_was_changed_has_it_done(self, worker):
        worker("10.0.0.1")
        assert worker("10.0.0.7", stub="unmount() { kill -9 $$; }", status=-9) == []
        assert worker("10.0.0.7") == ["unmounts /home/me"]
        assert worker("10.0.0.7") == []

    def test_all_workers_mount_from_the_new_one_which_exports_to_them(self, tmp_path):
        cluster = lab(tmp_path, 2)
        for node in cluster.nodes:
            nfs().clusterctl_join(cluster, node)
        before = len(cluster.ran)
        cluster.set_nodes([replace(cluster.master, private_address="10.0.0.9", id="new"), *cluster.workers])
        for node in cluster.nodes:
            nfs().clusterctl_join(cluster, node)
        exported, *mounted = (ran.text for ran in cluster.ran[before:])
        assert "10.0.0.2" in exports(exported)[0]
        assert "10.0.0.3" in exports(exported)[0]
        assert [fstab(text)[0].split()[0] for text in mounted] == ["10.0.0.9:/home/me"] * 2


def test_a_home_on_a_volume_of_its_own_is_shared_only_where_that_is_mounted(tmp_path):
    cluster = lab(tmp_path, 1)
    plugin = nfs()
    plugin.clusterctl_join(cluster, replace(cluster.master, home_volume="vol-0123"))
    cluster.set_nodes([cluster.master, replace(cluster.node("node001"), private_address="10.0.0.9")])
    plugin.clusterctl_members(cluster)  # whose nodes were only listed
    for ran in cluster.ran:
        assert [line.endswith(",mountpoint)") for line in exports(ran.text)] == [True]
