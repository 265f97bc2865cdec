"""Getting onto nodes: commands on many, files, logs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.errors import ClusterctlError, RemoteError, UsageError
from clusterctl.events import EventKind
from clusterctl.model import Access, Facet, NodeState
from clusterctl.node import copying
from clusterctl.operations.nodes import access, copies
from clusterctl.operations.sending.places import open_node
from clusterctl.operations.start import start_cluster
from clusterctl.remote.base import Result


@pytest.fixture
def parts(lab):
    made = lab.parts()
    start_cluster(made)
    return made


class TestReach:
    def test_a_number_is_a_worker(self, parts):
        cluster, node = open_node(parts, "1")
        assert node.alias == "node001"
        cluster.close()

    def test_another_user_can_be_logged_in_as(self, lab, parts):
        cluster, node = open_node(parts, "master", user="root")
        cluster.on(node).run("id")
        assert lab.connector.remotes[-1].node.user == "root"

    def test_a_node_that_is_off_is_refused(self, lab, parts):
        lab.provider.power_off("lab", "node002")
        with pytest.raises(UsageError, match="node002 of lab is stopped") as caught:
            open_node(parts, "node002")
        assert "start lab" in caught.value.remedy

    def test_an_unknown_one_is_answered_with_those_that_there_are(self, parts):
        with pytest.raises(ClusterctlError, match="no node 7") as caught:
            open_node(parts, "7")
        assert "master, node001, node002" in caught.value.remedy


class TestExecute:
    def test_it_runs_everywhere_and_tells_each_result(self, lab, parts):
        lab.connector.answers = lambda ran: Result(3 if ran.node == "node001" else 0, f"hi {ran.node}\n", "")
        told = []
        statuses = access.run_on_nodes(parts, "hostname", [], told.append)
        assert statuses == {"master": 0, "node001": 3, "node002": 0}
        assert {line.alias: line.text for line in told} == {alias: f"hi {alias}\n".encode() for alias in statuses}

    def test_lines_are_told_by_their_stream_and_long_ones_in_pieces(self, lab, parts):
        lab.connector.answers = {"*": Result(0, f"one\ntwo\n{'x' * 70000}", "oh\n")}
        told = []
        access.run_on_nodes(parts, "x", ["master"], told.append)
        assert [line.text for line in told if line.is_error] == [b"oh\n"]
        out = [line.text for line in told if not line.is_error]
        assert out[:2] == [b"one\n", b"two\n"]
        assert b"".join(out[2:]) == b"x" * 70000
        assert max(map(len, out)) <= 2 * 65536

    def test_or_only_where_it_shall(self, lab, parts):
        assert access.run_on_nodes(parts, "x", ["2", "master"], lambda *_: None) == {"node002": 0, "master": 0}

    def test_a_node_that_does_not_answer_has_status_255_as_ssh_says(self, lab, parts):
        lab.connector.down = {"node001"}
        told = []
        assert access.run_on_nodes(parts, "x", [], told.append) == {"master": 0, "node001": 255, "node002": 0}
        (line,) = told
        assert line.is_error
        assert b"node001 does not answer" in line.text

    def test_all_connections_are_closed(self, lab, parts):
        access.run_on_nodes(parts, "x", [], lambda *_: None)
        assert all(remote.closed for remote in lab.connector.remotes)


@pytest.fixture
def copied(monkeypatch):
    """What is copied where, in place of copying: by node, user, sources and target."""
    made = []

    def copy(remote, sources, target, on_progress):
        names = [str(source) for source in sources]
        made.append((remote.node.alias, remote.node.user, names, str(target.path), target.into))
        on_progress(9_000_000, copying.Totals(1, 9_000_000))
        return copying.Copied(len(sources), 9_000_000, [])

    monkeypatch.setattr(copying, "copy_to_node", copy)
    monkeypatch.setattr(copying, "copy_from_node", copy)
    return made


class TestPutAndGet:
    """The copied themselves: tests/unit/node/test_copying.py."""

    @pytest.fixture
    def source(self, tmp_path):
        (tmp_path / "a").write_text("a")
        return tmp_path / "a"

    @pytest.mark.parametrize(
        ("target", "path", "into"),
        [
            ("x.txt", "/fake/lab/master/home/x.txt", False),
            ("~/in/", "/fake/lab/master/home/in", True),
            ("~", "/fake/lab/master/home", True),
            (".", "/fake/lab/master/home", True),
            ("", "/fake/lab/master/home", True),
            ("/tmp/x", "/tmp/x", False),
            ("/", "/", True),
            ("a/..", "/fake/lab/master/home/a/..", True),
        ],
    )
    def test_a_target_is_a_name_or_a_folder_to_put_into(self, parts, copied, source, target, path, into):
        assert copies.copy_to_nodes(parts, ["master"], [source], target) == {"master": (1, 9_000_000, [])}
        assert [copy[3:] for copy in copied] == [(path, into)]

    def test_several_go_into_a_folder(self, parts, copied, source):
        copies.copy_to_nodes(parts, ["1"], [source, source.parent], "all")
        names = [str(source), str(source.parent)]
        assert copied == [("node001", copied[0][1], names, "/fake/lab/node001/home/all", True)]

    def test_what_is_not_there_is_named_before_anything_is_copied(self, parts, copied, source):
        with pytest.raises(UsageError, match=r"no such file: .*nope"):
            copies.copy_to_nodes(parts, ["master"], [source, source.with_name("nope")], "x")
        assert copied == []

    def test_a_link_to_nowhere_is_there(self, parts, copied, tmp_path):
        (tmp_path / "l").symlink_to("nowhere")
        copies.copy_to_nodes(parts, ["master"], [tmp_path / "l"], "x")
        assert len(copied) == 1

    @pytest.mark.parametrize(
        ("sources", "target", "into"),
        [
            (["a"], "x", False),
            (["a"], "x/", True),
            (["a"], "x/..", True),
            (["*.log"], "x", True),
            (["a", "b"], "x", True),
        ],
    )
    def test_one_becomes_the_target_and_what_may_be_many_goes_into_it(self, parts, copied, sources, target, into):
        copies.copy_from_nodes(parts, ["master"], sources, target)
        paths = [f"/fake/lab/master/home/{name}" for name in sources]
        assert [copy[2:] for copy in copied] == [(paths, target.rstrip("/"), into)]

    @pytest.mark.parametrize("aliases", [["master", "1", "2", "1"], [copies.ALL]])
    def test_to_and_from_several_nodes_each_once(self, parts, copied, source, tmp_path, aliases):
        nodes = ["master", "node001", "node002"]
        assert [*copies.copy_to_nodes(parts, aliases, [source], "x")] == nodes
        assert [*copies.copy_from_nodes(parts, aliases, ["x"], str(tmp_path))] == nodes
        assert {copy[3] for copy in copied[3:]} == {f"{tmp_path}/{alias}" for alias in nodes}

    def test_a_long_one_shows_how_far_it_is(self, lab, parts, copied, source):
        copies.copy_to_nodes(parts, ["master"], [source], "x")
        (event,) = [event for event in lab.events if event.text.startswith("Copying")]
        assert (event.kind, event.text, event.done, event.total) == (EventKind.PROGRESS, "Copying to master, MB", 9, 9)

    def test_an_error_on_one_is_raised_once_all_have_ended(self, lab, parts, source, monkeypatch):
        def copy(remote, *_):
            if remote.node.alias == "master":
                raise RemoteError("no", remedy="none", node="master")
            return copying.Copied(1, 1, [])

        monkeypatch.setattr(copying, "copy_to_node", copy)
        with pytest.raises(RemoteError, match="no"):
            copies.copy_to_nodes(parts, [copies.ALL], [source], "x")
        assert all(remote.closed for remote in lab.connector.remotes)


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
        cluster, node = open_node(parts, "master")
        cluster.on(node).run("id")
        assert self.last(lab) == ("admin", Access(key="/key", jump="gate"))
        access.run_on_nodes(parts, "id", ["master"], lambda *_: None)
        assert self.last(lab)[0] == "admin"

    def test_the_cluster_user_lets_the_clusters_own_key_in(self, lab, parts):
        cluster, node = open_node(parts, "master", user="ada")
        cluster.on(node).run("id")
        assert self.last(lab) == ("ada", Access(jump="gate"))

    def test_anybody_else_is_logged_in_to_as_the_config_says(self, lab, parts):
        for user in ("root", "admin"):
            cluster, node = open_node(parts, "master", user=user)
            cluster.on(node).run("id")
            assert self.last(lab) == (user, Access(key="/key", jump="gate"))

    def test_files_are_the_cluster_users_unless_another_is_named(self, lab, parts, copied, tmp_path):
        (tmp_path / "a").write_text("a")
        copies.copy_to_nodes(parts, ["master"], [tmp_path / "a"], "a")
        assert self.last(lab) == ("ada", Access(jump="gate"))
        copies.copy_from_nodes(parts, ["master"], ["a"], str(tmp_path / "b"))
        assert self.last(lab) == ("ada", Access(jump="gate"))
        copies.copy_to_nodes(parts, ["master"], [tmp_path / "a"], "a", user="root")
        assert self.last(lab)[0] == "root"

    def test_logs_are_read_as_root(self, lab, parts):
        access.show_service_logs(parts, "master", lines=7, show=lambda _: None)
        assert lab.connector.ran[-1].sudo


def test_elsewhere_files_are_of_the_only_user_there_is(lab, parts, copied, tmp_path):
    (tmp_path / "a").write_text("a")
    copies.copy_to_nodes(parts, ["master"], [tmp_path / "a"], "a")
    assert lab.connector.remotes[-1].node.user == lab.provider.nodes("lab")[0].user


def test_logs_of_a_local_node_that_is_off_are_on_this_computer(lab, parts, monkeypatch, tmp_path):
    (tmp_path / "engine-0.log").write_text("one\ntwo\nthree\n")
    layout = replace(lab.provider.nodes("lab")[0].layout, logs=tmp_path)
    nodes = [replace(node, state=NodeState.STOPPED, layout=layout) for node in lab.provider.nodes("lab")]
    monkeypatch.setattr(lab.provider, "nodes", lambda *_: nodes)
    monkeypatch.setattr(lab.provider, "facets", frozenset({Facet.DIRECT}))
    shown = []
    access.show_service_logs(parts, "1", lines=2, show=shown.append)
    assert shown == ["==> engine-0.log\ntwo\nthree"]
    monkeypatch.setattr(lab.provider, "facets", frozenset({Facet.MACHINE}))
    with pytest.raises(UsageError, match="node001 of lab is stopped"):
        access.show_service_logs(parts, "1", lines=2, show=shown.append)


def test_logs_of_all_services_are_shown(lab, parts):
    lab.connector.answers = {"cd *": "==> engine-0.log\nhello\n"}
    shown = []
    access.show_service_logs(parts, "1", lines=7, show=shown.append)
    assert shown == ["==> engine-0.log\nhello"]
    assert "cd /fake/lab/node001/logs" in lab.connector.ran[-1].text
    assert "tail -n 7" in lab.connector.ran[-1].text
