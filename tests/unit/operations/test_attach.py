"""`attach` makes the files of a cluster anew from what its provider and its master say; `share` lets a key in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from clusterctl.errors import NewerFormatError, StateError, UsageError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import NodeState
from clusterctl.operations import leave
from clusterctl.operations.owning import attach
from clusterctl.operations.owning.attach import Rights, choose_nodes, take_over
from clusterctl.operations.owning.record import make_record, parse_record
from clusterctl.operations.owning.share import share_cluster
from clusterctl.operations.start import start_cluster
from clusterctl.testing import FakeProvider

from ...support.shared_provider import stranger

STATUS = (
    "engine:engine-4 RUNNING pid 7, uptime\nengine:engine-5 RUNNING pid 8, uptime\ncontroller:controller-0 RUNNING x"
)


MASTER_KEY, WORKER_KEY = (" ".join(new_key_pair("")[1].split()[:2]) for _ in range(2))


class Keyless(FakeProvider):
    """Its rights let no key in, as those to an account on EC2."""

    admit = None


def render(document, template):
    return f"[cluster {template}]\nPROVIDER = local\n", ["X of [cluster local]"]


@pytest.fixture
def lost(lab):
    """A cluster whose files this computer has lost; its master has the record."""
    parts = lab.parts(cluster_size=2)
    start_cluster(parts)
    lab.record = make_record(parts, ["master", "node001"], ())
    shutil.rmtree(parts.folder.path)
    lab.connector.answers = lambda call: lab.record if call.text.startswith("cat ") else STATUS
    lab.provider.calls.clear()
    return lab


def test_its_id_nodes_config_and_engines_are_as_they_were_and_a_new_key_is_let_in(lost):
    known = parse_record(lost.record, "lab")
    parts = lost.parts(cluster_size=2)
    warnings = take_over(parts, lost.provider.nodes("lab"), Rights(), render)
    assert warnings == ["not taken over, as the master may not decide it: X of [cluster local]"]
    folder = parts.folder
    assert folder.cluster_id == known.id
    assert folder.wanted_nodes() == ("master", "node001")
    assert folder.last_config() == str(folder.path / "attached.ini")
    assert folder.plugin_notes()["engine_ids"] == {"master": [4, 2], "node001": [4, 2]}
    assert lost.provider.admitted == [(folder.path / "id_ed25519.pub").read_text().strip()]
    assert lost.provider.calls == ["admit lab"]
    start_cluster(lost.parts(cluster_size=2))
    assert len(leave.terminate_cluster(lost.parts())) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../x y"},
        {"id": 7},
        {"cluster": "other"},
        {"nodes": "master"},
        {"nodes": [1]},
        {"config": []},
        {"locks": {"a": 1}},
        {"template": "a\n[b]"},
    ],
)
def test_a_record_that_is_none_of_this_cluster_leaves_nothing_here(lost, change):
    lost.record = json.dumps({**json.loads(lost.record), **change})
    parts = lost.parts()
    with pytest.raises(StateError, match="no record of its cluster that can be read"):
        take_over(parts, lost.provider.nodes("lab"), Rights(), render)
    assert not parts.folder.path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "{}", "[" * 100_000])
def test_nonsense_is_no_record(text):
    with pytest.raises(StateError):
        parse_record(text, "lab")


def test_a_record_of_a_newer_version_says_so(lost):
    with pytest.raises(NewerFormatError):
        parse_record(json.dumps({**json.loads(lost.record), "format": 99}), "lab")


@pytest.mark.parametrize("name", ["../../../evil.txt", "lock-a/b.txt", "id_ed25519", "lock-1.sh"])
def test_the_master_writes_no_file_of_its_choice(lost, name, tmp_path):
    lost.record = json.dumps({**json.loads(lost.record), "locks": {name: "x"}})
    before = {path for path in tmp_path.rglob("*") if "laptop" not in path.parts}
    parts = lost.parts()
    take_over(parts, lost.provider.nodes("lab"), Rights(), render)
    assert {path for path in tmp_path.rglob("*") if "laptop" not in path.parts} == before
    assert {path.name for path in parts.folder.path.iterdir()} == {
        *("attached.ini", "id", "id_ed25519", "id_ed25519.pub", "journal.jsonl", "known_hosts", "lock", "logs")
    }


def test_a_lock_of_packages_that_is_not_whole_is_not_kept(lost):
    lost.record = json.dumps({**json.loads(lost.record), "locks": {"lock-0.txt": "numpy==1\nsci"}})
    parts = lost.parts()
    take_over(parts, lost.provider.nodes("lab"), Rights(), render)
    assert not (parts.folder.path / "lock-0.txt").exists()


def test_a_master_that_claims_another_id_than_its_provider_has_is_not_believed(lost):
    parts = lost.parts()
    with pytest.raises(StateError, match="and its provider says feed"):
        take_over(parts, [stranger()], Rights(), render)
    assert not parts.folder.path.exists()


def test_where_the_rights_to_the_provider_let_no_key_in_one_must_be_named_that_the_nodes_let_in(lost, tmp_path):
    machines, lost.provider = lost.provider.machines, Keyless()
    worker = replace(machines["lab", "node001"], private_address="127.0.0.2")
    lost.provider.machines = {**machines, ("lab", "node001"): worker}
    usual = lost.connector.answers
    parts = lost.parts()
    with pytest.raises(UsageError, match="let in no key of this computer") as caught:
        take_over(parts, lost.provider.nodes("lab"), Rights(), render)
    assert "clusterctl share lab FILE.pub" in caught.value.remedy
    assert not parts.folder.path.exists()
    lost.connector.answers = lambda call: (
        f"node001,127.0.0.2 {WORKER_KEY}\n# x\nnonsense\n" if "ssh_known_hosts" in call.text else usual(call)
    )
    take_over(parts, lost.provider.nodes("lab"), Rights(tmp_path / "mine", lambda node: MASTER_KEY), render)
    assert {remote.node.access.key for remote in lost.connector.remotes if remote.ran} >= {str(tmp_path / "mine")}
    admitted = [ran for ran in lost.connector.ran if ran.name == "admit keys"]
    assert sorted(ran.node for ran in admitted) == ["master", "node001"]
    assert parts.folder.host_keys() == {"lab-master": MASTER_KEY, "lab-node001": WORKER_KEY}


def test_one_that_is_here_already_is_refused(lab):
    start_cluster(lab.parts())
    with pytest.raises(UsageError, match="this computer's already"):
        take_over(lab.parts(), lab.provider.nodes("lab"), Rights(), render)


def test_without_a_master_that_runs_nothing_is_known(lost):
    lost.provider.power_off("lab", "master")
    assert {node.state for node in lost.provider.nodes("lab")} == {NodeState.STOPPED, NodeState.RUNNING}
    with pytest.raises(StateError, match="master of lab does not run"):
        take_over(lost.parts(), lost.provider.nodes("lab"), Rights(), render)


def test_of_several_with_one_name_the_id_says_which():
    nodes = [stranger(), stranger("node001"), stranger(id_="beef")]
    assert choose_nodes("lab", nodes, "feed") == nodes[:2]
    with pytest.raises(UsageError, match="several clusters are called lab") as caught:
        choose_nodes("lab", nodes)
    assert "--id ID" in caught.value.remedy
    for there, chosen in ((nodes, "dead"), ([], "")):
        with pytest.raises(UsageError, match="there is no cluster lab"):
            choose_nodes("lab", there, chosen)


def test_the_name_of_the_config_is_no_path_of_the_masters():
    assert attach.CONFIG_FILE == "attached.ini"


class TestShare:
    def test_all_nodes_let_the_key_in_and_it_is_remembered_for_those_that_join(self, lab):
        start_cluster(lab.parts(cluster_size=2))
        key = " ".join(new_key_pair("")[1].split()[:2])
        shared = share_cluster(lab.parts(), f"{key} you@there\n")
        scripts = [ran for ran in lab.connector.ran if ran.name == "admit keys"]
        assert sorted(ran.node for ran in scripts) == ["master", "node001"]
        assert all(f"'{key}'" in ran.text for ran in scripts)
        assert lab.parts().folder.plugin_notes()["shared keys"] == [key]
        assert (shared.name, shared.nodes) == ("lab", ("master", "node001"))
        assert shared.id == lab.parts().folder.cluster_id

    @pytest.mark.parametrize(
        "text", ["", "nonsense", "ssh-ed25519 AAAA", 'command="x" ssh-ed25519 AAAA', "-----BEGIN X"]
    )
    def test_what_is_no_public_key_is_refused_and_no_node_is_asked(self, lab, text):
        start_cluster(lab.parts())
        lab.connector.ran.clear()
        with pytest.raises(UsageError, match="no public key"):
            share_cluster(lab.parts(), text)
        assert not [ran for ran in lab.connector.ran if ran.name == "admit keys"]


class TestLostKey:
    @pytest.mark.parametrize("damage", ["gone", "", "nonsense"])
    def test_where_the_provider_can_let_a_new_one_in_start_mends_it(self, lab, damage):
        parts = lab.parts(cluster_size=2)
        start_cluster(parts)
        key = parts.folder.private_key_file
        key.unlink()
        if damage != "gone":
            key.write_text(damage)
        assert start_cluster(lab.parts(cluster_size=2)).ok
        assert lab.provider.admitted == [(parts.folder.path / "id_ed25519.pub").read_text().strip()]
        assert any("a new one was made" in warning for warning in lab.warnings)

    def test_elsewhere_it_says_what_can_be_done_and_changes_nothing(self, lab):
        lab.provider = Keyless()
        start_cluster(lab.parts(cluster_size=2))
        key = lab.parts().folder.private_key_file
        key.write_text("nonsense")
        with pytest.raises(StateError, match="its nodes let in no other") as caught:
            start_cluster(lab.parts(cluster_size=2))
        assert "clusterctl attach --key FILE lab" in caught.value.remedy
        assert key.read_text() == "nonsense"
        assert len(leave.terminate_cluster(lab.parts())) == 2
