"""A cluster's folder: what was asked is written before asking, whole or not at all, for the owner only."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.errors import StateError
from clusterctl.journal import ClusterFolder, describe_overrides
from clusterctl.journal.events import parse_overrides
from clusterctl.model import NO_BID, Market, NodeOverrides
from clusterctl.testing import fake_node


@pytest.fixture
def folder(tmp_path):
    made = ClusterFolder(tmp_path, "lab")
    made.path.mkdir(parents=True)
    return made


def mode(path):
    return path.stat().st_mode & 0o777


def create(folder, *nodes, **facts):
    usual = {"provider": "local", "template": "small", "overrides": {}, "nodes": list(nodes)}
    folder.record("create", **{**usual, **facts})


def test_ensure_makes_a_private_folder_and_one_key_for_good(tmp_path):
    folder = ClusterFolder(tmp_path, "lab")
    public = folder.ensure_exists()
    assert public == folder.ensure_exists()
    assert public.startswith("ssh-ed25519 ")
    assert (mode(folder.path), mode(folder.private_key_file), mode(folder.path / "logs")) == (0o700, 0o600, 0o700)
    assert not folder.exists  # nothing was asked of anybody yet


def test_a_folder_that_was_open_to_others_is_closed(folder):
    folder.path.chmod(0o755)
    folder.ensure_exists()
    assert mode(folder.path) == 0o700


class TestWrite:
    def test_a_file_is_for_its_owner_only_whatever_the_umask(self, folder):
        before = os.umask(0)
        try:
            path = folder.write_file("client.json", "secret")
        finally:
            os.umask(before)
        assert mode(path) == 0o600
        assert path.read_text() == "secret"

    def test_a_file_that_was_open_to_others_is_replaced_by_a_private_one(self, folder):
        path = folder.path / "client.json"
        path.write_text("old")
        path.chmod(0o644)
        folder.write_file("client.json", "new")
        assert (mode(path), path.read_text()) == (0o600, "new")

    def test_it_is_the_old_or_the_new_one_never_half(self, folder):
        path = folder.write_file("client.json", "old")
        with pytest.raises(TypeError):
            folder.write_file("client.json", 7)
        assert path.read_text() == "old"

    def test_what_cannot_be_written_is_an_error_with_a_remedy_and_leaves_nothing(self, folder):
        name = f"{'x' * 300}.json"  # stands for whatever keeps it from being written
        with pytest.raises(StateError, match=r"cannot write .*\.json") as caught:
            folder.write_file(name, "x")
        assert "CLUSTERCTL_HOME" in caught.value.remedy
        assert list(folder.path.iterdir()) == []

    def test_a_folder_that_has_the_files_name_is_set_aside(self, folder):
        (folder.path / "client.json").mkdir()
        (folder.path / "client.json" / "x").touch()
        assert folder.write_file("client.json", "new").read_text() == "new"
        (aside,) = folder.path.glob("client.json.broken-*")
        assert (aside / "x").exists()


@pytest.mark.parametrize("kind", ["a file in its place", "no place for files"])
def test_a_home_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path, kind):
    (tmp_path / "clusters").write_text("a file where the folder should be")
    folder = ClusterFolder(tmp_path if kind == "a file in its place" else Path("/proc/none"), "lab")
    for attempt in (folder.ensure_exists, lambda: folder.record("create"), lambda: folder.exclusive_lock().__enter__()):
        with pytest.raises(StateError) as caught:
            attempt()
        assert caught.value.remedy


class TestJournal:
    def test_events_come_back_in_order_with_their_time(self, folder):
        create(folder, "master")
        folder.record("joined", node="master", id="1", digest="d")
        assert [event["event"] for event in folder.events()] == ["create", "joined"]
        assert all(event["time"] for event in folder.events())
        assert mode(folder.journal_file) == 0o600
        assert folder.exists

    def test_a_last_line_that_a_crash_cut_short_is_left_out(self, folder):
        create(folder, "master")
        with folder.journal_file.open("a") as journal:
            journal.write('{"time": "2024-01-01", "event": "joi')
        assert [event["event"] for event in folder.events()] == ["create"]

    def test_what_is_written_after_a_cut_line_is_not_lost(self, folder):
        create(folder, "master")
        with folder.journal_file.open("a") as journal:
            journal.write('{"time": "2024-01-01", "event": "joi')
        folder.record("remove", nodes=["master"])
        assert [event["event"] for event in folder.events()] == ["create", "remove"]

    @given(cut=st.integers(min_value=0, max_value=400))
    def test_wherever_it_was_cut_whole_lines_count_and_new_ones_too(self, tmp_path_factory, cut):
        folder = ClusterFolder(tmp_path_factory.mktemp("cut"), "lab")
        folder.path.mkdir(parents=True)
        for number in range(3):
            folder.record("note", key="k", value=number)
        whole = folder.journal_file.read_bytes()
        folder.journal_file.write_bytes(whole[:cut])
        before = len(folder.events())
        lines = whole[:cut].count(b"\n") - 1  # the first says in which format the others are
        assert lines <= before <= max(lines, 0) + 1
        folder.record("note", key="k", value="new")
        assert len(folder.events()) == before + 1
        assert folder.plugin_notes() == {"k": "new"}

    def test_bytes_that_are_no_text_lose_only_their_line(self, folder):
        create(folder, "master")
        with folder.journal_file.open("ab") as journal:
            journal.write(b"\xff\x00\xfe\n")
        folder.record("joined", node="master", id="1", digest="d")
        assert list(folder.joined_members()) == ["master"]

    def test_no_journal_is_an_empty_one(self, folder):
        assert folder.events() == []
        assert (folder.wanted_nodes(), folder.joined_members(), folder.plugin_notes(), folder.last_overrides()) == (
            (),
            {},
            {},
            {},
        )
        assert folder.last_provider() is None
        assert folder.last_template() is None

    def test_what_was_asked_for_one_node_comes_back_as_it_was(self, folder):
        own = NodeOverrides(types=("r7i.large",), market=Market.SPOT, bid=Decimal("0.10"), image="ami-1", vcpus=2.0)
        assert describe_overrides(NodeOverrides()) == {}
        create(folder, "node001", special={"node001": describe_overrides(own)})
        assert folder.node_overrides() == {"node001": own}
        assert parse_overrides(describe_overrides(NodeOverrides(bid=NO_BID))).bid == NO_BID
        folder.record("remove", nodes=["node001"])
        assert folder.node_overrides() == {}

    def test_what_earlier_versions_wrote_of_one_node_is_read(self, folder):
        special = {"types": ["c7a.large", "c7i.large"], "bid": "0.07", "market": "spot-with-fallback"}
        create(folder, "node001", "node002", special={"node001": special, "node002": {}})
        assert folder.node_overrides() == {
            "node001": NodeOverrides(
                types=("c7a.large", "c7i.large"), bid=Decimal("0.07"), market=Market.SPOT_WITH_FALLBACK
            ),
            "node002": NodeOverrides(),
        }

    def test_notes_keep_the_last_value_of_each_key(self, folder):
        for key, value in (("a", 1), ("b", [1, 2]), ("a", {"x": None})):
            folder.record("note", key=key, value=value)
        assert folder.plugin_notes() == {"a": {"x": None}, "b": [1, 2]}

    def test_members_are_those_that_joined_and_did_not_leave(self, folder):
        folder.record("joined", node="master", id="1", digest="x")
        folder.record("joined", node="node001", id="2", digest="x")
        folder.record("left", node="node001", id="2")
        folder.record("left", node="node009", id="9")
        folder.record("joined", node="master", id="3", digest="y")
        assert folder.joined_members() == {"master": ("3", "y")}

    def test_wanted_is_what_was_asked_for_and_not_removed_since(self, folder):
        create(folder, "master", "node001", "node002")
        folder.record("remove", nodes=["node001"])
        assert folder.wanted_nodes() == ("master", "node002")
        create(folder, "master", "node002", "node001")
        assert folder.wanted_nodes() == ("master", "node002", "node001")

    def test_the_last_start_says_what_the_cluster_is_made_of(self, folder):
        create(folder, "master", overrides={"cluster_size": "2"})
        create(folder, "master", provider="ec2", template="big", overrides={"cluster_size": "3", "spot_bid": "0.1"})
        assert (folder.last_provider(), folder.last_template()) == ("ec2", "big")
        assert folder.last_overrides() == {"cluster_size": "3", "spot_bid": "0.1"}

    def test_read_json_forgives_what_is_missing_or_not_whole(self, folder):
        assert folder.read_json("x.json") is None
        (folder.path / "x.json").write_text('{"a": ')
        assert folder.read_json("x.json") is None
        folder.write_file("x.json", json.dumps([1]))
        assert folder.read_json("x.json") == [1]


def test_known_hosts_has_a_line_for_each_node_and_the_port_where_it_is_not_22(folder):
    nodes = [fake_node(), fake_node("node001", address="10.0.0.1", port=2222), fake_node("node002", address="::1")]
    folder.pin_host_keys(nodes)
    assert folder.known_hosts_file.read_text().splitlines() == [
        "127.0.0.1 ssh-ed25519 AAAAmaster",
        "[10.0.0.1]:2222 ssh-ed25519 AAAAnode001",
        "::1 ssh-ed25519 AAAAnode002",
    ]
    assert mode(folder.known_hosts_file) == 0o600


class TestHostKeys:
    """Of nodes that are born with a throw-away one."""

    @pytest.fixture
    def born(self, folder):
        node = fake_node(id="i-1@10:00", machine_id="i-1", host_key="ssh-ed25519 THROWAWAY", bootstrap_key=True)
        folder.pin_host_keys([node, fake_node("node001", address="10.0.0.1")])
        return node

    @staticmethod
    def pinned(folder, name="127.0.0.1"):
        lines = [line.split(" ", 1) for line in folder.known_hosts_file.read_text().splitlines()]
        return [key for host, key in lines if host == name]

    def test_what_earlier_versions_recorded_is_the_machines_for_all_its_boots(self, folder, born):
        folder.record("host_key", node="master", id="i-1@10:00", key="ssh-ed25519 OLD")
        folder.record("host_key_made", node="master", id="i-1@10:00", key="ssh-ed25519 OLD")
        assert folder.host_keys() == {"i-1": "ssh-ed25519 OLD"}
        folder.pin_host_keys([replace(born, id="i-1@12:00")])
        assert self.pinned(folder) == ["ssh-ed25519 THROWAWAY", "ssh-ed25519 OLD"]

    def test_the_one_that_comes_is_accepted_before_it_is_shown_and_then_no_other(self, folder, born):
        assert self.pinned(folder) == ["ssh-ed25519 THROWAWAY"]
        folder.expect_host_key(born, "ssh-ed25519 OWN")
        assert self.pinned(folder) == ["ssh-ed25519 THROWAWAY", "ssh-ed25519 OWN"]
        assert folder.host_keys() == {}
        folder.keep_host_key(born, "ssh-ed25519 OWN")
        assert self.pinned(folder) == ["ssh-ed25519 OWN"]
        assert folder.host_keys() == {"i-1": "ssh-ed25519 OWN"}
        assert self.pinned(folder, "10.0.0.1") == ["ssh-ed25519 AAAAnode001"]

    def test_the_next_run_of_the_program_accepts_the_last_one_that_was_made(self, folder, born):
        folder.expect_host_key(born, "ssh-ed25519 FIRST")
        folder.expect_host_key(born, "ssh-ed25519 SECOND")
        folder.pin_host_keys(
            [replace(born, id="i-1@12:00"), replace(born, id="i-2@12:00", machine_id="i-2", address="10.0.0.2")]
        )
        assert self.pinned(folder) == ["ssh-ed25519 THROWAWAY", "ssh-ed25519 SECOND"]
        assert self.pinned(folder, "10.0.0.2") == ["ssh-ed25519 THROWAWAY"]

    def test_one_that_has_its_own_is_known_by_nothing_else(self, folder, born):
        folder.expect_host_key(born, "ssh-ed25519 OWN")
        folder.pin_host_keys([replace(born, host_key="ssh-ed25519 OWN", bootstrap_key=False)])
        assert self.pinned(folder) == ["ssh-ed25519 OWN"]

    def test_many_nodes_may_get_theirs_at_once(self, folder):
        nodes = [
            fake_node(f"node{n:03d}", id=f"i-{n}", machine_id=f"i-{n}", address=f"10.0.0.{n}", bootstrap_key=True)
            for n in range(40)
        ]
        folder.pin_host_keys(nodes)

        def change(node):
            folder.expect_host_key(node, f"ssh-ed25519 OWN{node.id}")
            folder.keep_host_key(node, f"ssh-ed25519 OWN{node.id}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(change, nodes))
        assert folder.host_keys() == {node.id: f"ssh-ed25519 OWN{node.id}" for node in nodes}
        assert all(self.pinned(folder, node.address) == [f"ssh-ed25519 OWN{node.id}"] for node in nodes)


def test_remove_forgets_everything_and_may_be_repeated(folder):
    folder.ensure_exists()
    create(folder, "master")
    folder.delete_folder()
    folder.delete_folder()
    assert not folder.path.exists()
    assert not folder.exists


class TestLock:
    def test_a_second_one_is_refused_at_once_and_told_who_holds_it(self, tmp_path):
        first, second = ClusterFolder(tmp_path, "lab"), ClusterFolder(tmp_path, "lab")
        with first.exclusive_lock(), pytest.raises(StateError) as caught, second.exclusive_lock():
            pass
        assert caught.value.message == f"another clusterctl is at work on lab (process {os.getpid()})"
        assert caught.value.remedy

    def test_one_who_is_refused_takes_nothing_from_the_other(self, tmp_path):
        first, second = ClusterFolder(tmp_path, "lab"), ClusterFolder(tmp_path, "lab")
        with first.exclusive_lock():
            with pytest.raises(StateError), second.exclusive_lock():
                pass
            assert (first.path / "lock").exists()

    def test_another_cluster_is_not_held_up(self, tmp_path):
        with ClusterFolder(tmp_path, "one").exclusive_lock(), ClusterFolder(tmp_path, "two").exclusive_lock():
            pass

    @pytest.mark.parametrize("error", [None, KeyboardInterrupt, StateError("x", remedy="y")])
    def test_it_ends_with_the_work_however_that_ends(self, tmp_path, error):
        folder = ClusterFolder(tmp_path, "lab")
        try:
            with folder.exclusive_lock():
                create(folder, "master")
                if error:
                    raise error
        except (KeyboardInterrupt, StateError):
            pass
        with folder.exclusive_lock():
            pass
        with (folder.path / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @pytest.mark.parametrize("error", [False, True])
    def test_a_name_that_stays_without_a_cluster_leaves_no_folder(self, tmp_path, error):
        folder = ClusterFolder(tmp_path, "lab")
        try:
            with folder.exclusive_lock():
                assert not error, "as a command would raise that finds nothing to do"
        except AssertionError:
            pass
        assert not folder.path.exists()

    def test_a_pid_that_cannot_be_written_is_not_worth_a_failure(self, tmp_path):
        folder = ClusterFolder(tmp_path, "lab")
        folder.path.mkdir(parents=True)
        (folder.path / "lock").symlink_to("/dev/full")
        create(folder, "master")
        with folder.exclusive_lock():
            pass

    @pytest.mark.e2e
    def test_another_process_is_refused_and_a_dead_one_holds_nothing(self, tmp_path):
        code = (
            "import sys, pathlib; from clusterctl.journal import ClusterFolder\n"
            "with ClusterFolder(pathlib.Path(sys.argv[1]), 'lab').exclusive_lock(): print('held', flush=True); input()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with holder:
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(StateError, match=f"process {holder.pid}"),
                ClusterFolder(tmp_path, "lab").exclusive_lock(),
            ):
                pass
            holder.kill()
        with ClusterFolder(tmp_path, "lab").exclusive_lock():
            pass
