"""Getting onto nodes: commands on many, files, logs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from clusterctl.errors import ClusterctlError, RemoteError, UsageError
from clusterctl.model import Access, Facet
from clusterctl.operations import access
from clusterctl.operations.start import start_cluster
from clusterctl.remote.base import Result


@pytest.fixture
def parts(lab):
    made = lab.parts()
    start_cluster(made)
    return made


def files(lab, node="master"):
    home = PurePosixPath("/fake/lab") / node / "home"
    return {str(path.relative_to(home)): content for path, content in lab.connector.files.get(node, {}).items()}


class TestReach:
    def test_a_number_is_a_worker(self, parts):
        cluster, node = access.open_node(parts, "1")
        assert node.alias == "node001"
        cluster.close()

    def test_another_user_can_be_logged_in_as(self, lab, parts):
        cluster, node = access.open_node(parts, "master", user="root")
        cluster.on(node).run("id")
        assert lab.connector.remotes[-1].node.user == "root"

    def test_a_node_that_is_off_is_refused(self, lab, parts):
        lab.provider.power_off("lab", "node002")
        with pytest.raises(UsageError, match="node002 of lab is stopped") as caught:
            access.open_node(parts, "node002")
        assert "start lab" in caught.value.remedy

    def test_an_unknown_one_is_answered_with_those_that_there_are(self, parts):
        with pytest.raises(ClusterctlError, match="no node 7") as caught:
            access.open_node(parts, "7")
        assert "master, node001, node002" in caught.value.remedy


class TestExecute:
    def test_it_runs_everywhere_and_tells_each_result(self, lab, parts):
        lab.connector.answers = lambda ran: Result(3 if ran.node == "node001" else 0, f"hi {ran.node}\n", "")
        told = {}
        statuses = access.run_on_nodes(parts, "hostname", [], told.__setitem__)
        assert statuses == {"master": 0, "node001": 3, "node002": 0}
        assert {alias: result.stdout for alias, result in told.items()} == {a: f"hi {a}\n" for a in statuses}

    def test_or_only_where_it_shall(self, lab, parts):
        assert access.run_on_nodes(parts, "x", ["2", "master"], lambda *_: None) == {"node002": 0, "master": 0}

    def test_a_node_that_does_not_answer_has_status_255_as_ssh_says(self, lab, parts):
        lab.connector.down = {"node001"}
        told = {}
        assert access.run_on_nodes(parts, "x", [], told.__setitem__) == {"master": 0, "node001": 255, "node002": 0}
        assert "node001 does not answer" in told["node001"].stderr

    def test_all_connections_are_closed(self, lab, parts):
        access.run_on_nodes(parts, "x", [], lambda *_: None)
        assert all(remote.closed for remote in lab.connector.remotes)


class TestPutAndGet:
    @pytest.fixture
    def tree(self, tmp_path):
        root = tmp_path / "data"
        (root / "deep" / "er").mkdir(parents=True)
        (root / "a.txt").write_text("a")
        (root / "deep" / "er" / "b.txt").write_text("b")
        return root

    def test_a_file_goes_below_the_home(self, lab, parts, tree):
        assert access.copy_to_node(parts, "master", [tree / "a.txt"], "x.txt") == 1
        assert files(lab) == {"x.txt": b"a"}

    def test_into_a_folder_it_keeps_its_name(self, lab, parts, tree):
        access.copy_to_node(parts, "1", [tree / "a.txt"], "~/in/")
        access.copy_to_node(parts, "1", [tree / "a.txt"], "in")  # which is a folder by now
        assert files(lab, "node001") == {"in/a.txt": b"a"}

    def test_an_absolute_target_is_taken_as_it_is(self, lab, parts, tree):
        access.copy_to_node(parts, "master", [tree / "a.txt"], "/tmp/x")
        assert list(lab.connector.files["master"]) == [PurePosixPath("/tmp/x")]

    def test_a_folder_goes_whole(self, lab, parts, tree):
        assert access.copy_to_node(parts, "master", [tree], "copy") == 2
        assert files(lab) == {"copy/a.txt": b"a", "copy/deep/er/b.txt": b"b"}

    def test_several_go_into_a_folder(self, lab, parts, tree):
        assert access.copy_to_node(parts, "master", [tree / "a.txt", tree / "deep"], "all") == 2
        assert files(lab) == {"all/a.txt": b"a", "all/deep/er/b.txt": b"b"}

    def test_what_is_not_there_is_named_before_anything_is_copied(self, lab, parts, tree):
        with pytest.raises(UsageError, match=r"no such file: .*nope"):
            access.copy_to_node(parts, "master", [tree / "a.txt", tree / "nope"], "x")
        assert files(lab) == {}

    def test_what_went_comes_back(self, lab, parts, tree, tmp_path):
        access.copy_to_node(parts, "master", [tree], "copy")
        assert access.copy_from_node(parts, "master", ["copy"], tmp_path / "back") == 2
        assert (tmp_path / "back" / "deep" / "er" / "b.txt").read_text() == "b"

    def test_wildcards_are_the_nodes(self, lab, parts, tree, tmp_path):
        for name in ("1.log", "2.log", "x.txt"):
            access.copy_to_node(parts, "master", [tree / "a.txt"], name)
        assert access.copy_from_node(parts, "master", ["*.log"], tmp_path / "logs") == 2
        assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["1.log", "2.log"]

    def test_one_file_into_a_folder_keeps_its_name(self, lab, parts, tree, tmp_path):
        access.copy_to_node(parts, "master", [tree / "a.txt"], "a.txt")
        access.copy_from_node(parts, "master", ["a.txt"], tmp_path)
        assert (tmp_path / "a.txt").read_text() == "a"

    def test_what_the_node_has_not_is_an_error(self, parts, tmp_path):
        with pytest.raises(UsageError, match=r"master has no \*\.log"):
            access.copy_from_node(parts, "master", ["*.log"], tmp_path)
        with pytest.raises(RemoteError, match="no such file"):
            access.copy_from_node(parts, "master", ["nope"], tmp_path)


class TestOnMachines:
    """Where there are users: one who logs in, and the cluster user, whom we made."""

    @pytest.fixture
    def parts(self, lab):
        lab.provider.facets = frozenset({Facet.MACHINE, Facet.DIRECT})
        made = lab.parts(cluster_user="ada")
        start_cluster(made)
        access = Access(key="/key", jump="gate")
        for place, node in lab.provider.machines.items():
            lab.provider.machines[place] = replace(node, user="admin", access=access)
        return made

    @staticmethod
    def last(lab):
        node = lab.connector.remotes[-1].node
        return node.user, node.access

    def test_shells_and_commands_are_of_who_logs_in(self, lab, parts):
        cluster, node = access.open_node(parts, "master")
        cluster.on(node).run("id")
        assert self.last(lab) == ("admin", Access(key="/key", jump="gate"))
        access.run_on_nodes(parts, "id", ["master"], lambda *_: None)
        assert self.last(lab)[0] == "admin"

    def test_the_cluster_user_lets_the_clusters_own_key_in(self, lab, parts):
        cluster, node = access.open_node(parts, "master", user="ada")
        cluster.on(node).run("id")
        assert self.last(lab) == ("ada", Access(jump="gate"))

    def test_anybody_else_is_logged_in_to_as_the_config_says(self, lab, parts):
        for user in ("root", "admin"):
            cluster, node = access.open_node(parts, "master", user=user)
            cluster.on(node).run("id")
            assert self.last(lab) == (user, Access(key="/key", jump="gate"))

    def test_files_are_the_cluster_users_unless_another_is_named(self, lab, parts, tmp_path):
        (tmp_path / "a").write_text("a")
        access.copy_to_node(parts, "master", [tmp_path / "a"], "a")
        assert self.last(lab) == ("ada", Access(jump="gate"))
        access.copy_from_node(parts, "master", ["a"], tmp_path / "b")
        assert self.last(lab) == ("ada", Access(jump="gate"))
        access.copy_to_node(parts, "master", [tmp_path / "a"], "a", user="root")
        assert self.last(lab)[0] == "root"

    def test_logs_are_read_as_root(self, lab, parts):
        access.show_service_logs(parts, "master", lines=7, show=lambda _: None)
        assert lab.connector.ran[-1].sudo


def test_elsewhere_files_are_of_the_only_user_there_is(lab, parts, tmp_path):
    (tmp_path / "a").write_text("a")
    access.copy_to_node(parts, "master", [tmp_path / "a"], "a")
    assert lab.connector.remotes[-1].node.user == lab.provider.nodes("lab")[0].user


def test_logs_of_all_services_are_shown(lab, parts):
    lab.connector.answers = {"cd *": "==> engine-0.log\nhello\n"}
    shown = []
    access.show_service_logs(parts, "1", lines=7, show=shown.append)
    assert shown == ["==> engine-0.log\nhello"]
    assert "cd /fake/lab/node001/logs" in lab.connector.ran[-1].text
    assert "tail -n 7" in lab.connector.ran[-1].text
