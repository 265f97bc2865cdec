"""A folder that a crash, a full disk or an editor has hurt: what is broken is set aside, and the rest counts."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from clusterctl.errors import StateError
from clusterctl.journal import ClusterFolder, known_ids, lock
from clusterctl.journal.ids import fingerprint

NO_EVENTS = [
    "{}",
    "1",
    "[]",
    "null",
    '"create"',
    '{"event": 1}',
    '{"event": "create"}',
    '{"event": "create", "provider": "local", "template": "t", "nodes": "master"}',
    '{"event": "create", "provider": "local", "template": "t", "nodes": [1]}',
    '{"event": "create", "provider": "local", "template": "t", "nodes": [], "special": {"a": 1}}',
    '{"event": "create", "provider": "local", "template": "t", "nodes": [], "special": {"a": {"bid": "x"}}}',
    '{"event": "joined", "node": "master"}',
    '{"event": "note"}',
    '{"event": "ec2", "uuid": "u"}',
    '{"event": "launch", "token": "t", "role": "r", "market": "barter", "template": "", "aliases": [], "request": {}}',
    '{"event": "launched", "token": "t", "nodes": {"master": 7}, "fleet": ""}',
    '{"event": "format", "format": "x"}',
    '{"event": "joi',
    "\x00\x01\x02",
    "[" * 100_000,
]


@pytest.fixture
def folder(tmp_path):
    made = ClusterFolder(tmp_path, "lab")
    made.ensure_exists()
    made.ensure_id()
    made.record("create", provider="local", template="t", overrides={}, nodes=["master", "node001"])
    return made


def read_all(folder):
    return (
        folder.wanted_nodes(),
        folder.joined_members(),
        folder.node_overrides(),
        folder.plugin_notes(),
        folder.last_provider(),
        folder.last_template(),
        folder.last_config(),
        folder.last_overrides(),
        folder.host_keys(),
        folder.cluster_id,
    )


@pytest.mark.parametrize("line", NO_EVENTS)
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_line_that_is_no_event_is_left_out_and_stops_no_reader(folder, line, place):
    before = read_all(folder)
    text = folder.journal_file.read_text()
    folder.journal_file.write_text(f"{line}\n{text}" if place == "first" else f"{text}{line}\n")
    assert read_all(folder) == before
    folder.record("note", key="k", value=1)
    assert folder.plugin_notes() == {"k": 1}


def test_broken_lines_are_set_aside_once_and_the_old_file_is_kept(folder):
    before = read_all(folder)
    whole = folder.journal_file.read_text()
    folder.journal_file.write_text(f"{{}}\n{whole}1\n")
    (said,) = folder.set_aside_broken()
    (aside,) = folder.path.glob("journal.jsonl.broken-*")
    assert "2 of 5 lines were left out" in said
    assert str(aside) in said
    assert aside.read_text() == f"{{}}\n{whole}1\n"
    assert folder.journal_file.read_text() == whole
    assert read_all(folder) == before
    assert folder.set_aside_broken() == []


def test_a_folder_in_the_journals_place_is_set_aside_and_the_id_is_known_still(folder):
    known = folder.cluster_id
    folder.journal_file.unlink()
    folder.journal_file.mkdir()
    assert folder.cluster_id == known
    assert len(folder.set_aside_broken()) == 1
    folder.record("note", key="k", value=1)
    assert folder.plugin_notes() == {"k": 1}


class TestIds:
    def test_it_is_on_the_disk_twice_and_in_the_list_of_the_home(self, folder, tmp_path):
        known = folder.cluster_id
        assert len(known) == 32
        assert (folder.path / "id").read_text().strip() == known
        assert known_ids(tmp_path) == {known}
        assert folder.ensure_id() == known

    @pytest.mark.parametrize("lost", ["journal.jsonl", "id"])
    def test_one_of_both_is_enough(self, folder, lost):
        known = folder.cluster_id
        (folder.path / lost).unlink()
        assert folder.cluster_id == known
        assert folder.exists
        folder.ensure_id()
        assert json.loads(folder.journal_file.read_text().splitlines()[-1])
        assert (folder.path / "id").read_text().strip() == known

    @pytest.mark.parametrize("text", ["", "a b", "../x", "x" * 81, "\x00"])
    def test_nonsense_is_no_id(self, folder, text):
        folder.journal_file.unlink()
        (folder.path / "id").write_text(text)
        assert folder.cluster_id == ""

    def test_that_of_a_cluster_of_an_earlier_version_is_the_fingerprint_of_its_key(self, tmp_path):
        folder = ClusterFolder(tmp_path, "old")
        public = folder.ensure_exists()
        assert folder.cluster_id == ""
        folder.record("create", provider="static", template="t", overrides={}, nodes=["master"])
        assert folder.cluster_id == fingerprint(public)
        assert folder.cluster_id.startswith("SHA256:")

    def test_that_of_ec2_is_what_the_first_version_has_recorded(self, tmp_path):
        folder = ClusterFolder(tmp_path, "old")
        folder.ensure_exists()
        folder.record("ec2", uuid="u1", region="eu-west-1")
        assert folder.cluster_id == "u1"

    def test_a_fingerprint_is_what_ssh_shows(self):
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIuMAIR277VaqM6CGz8yqMqLHQ1eMye3/eWpKdpyBXML clusterctl-lab"
        assert fingerprint(key) == "SHA256:KopfUa9nB8ba4kuh5EFbsKJ8QVNPNGrlAbsKznn2FS8"
        with pytest.raises(ValueError, match="a type and a text"):
            fingerprint("nonsense")


class TestLock:
    def test_one_that_was_deleted_with_its_folder_in_between_is_not_the_lock(self, folder, monkeypatch):
        """`terminate` deletes the folder between the moments when another command opens the lock and takes it."""
        usual = lock.try_lock
        deleted = []

        def late(file):
            if not deleted:
                deleted.append(True)
                shutil.rmtree(folder.path)
            return usual(file)

        monkeypatch.setattr(lock, "try_lock", late)
        with folder.exclusive_lock():
            monkeypatch.setattr(lock, "try_lock", usual)
            with pytest.raises(StateError, match=f"at work on lab \\(process {os.getpid()}"), folder.exclusive_lock():
                pass

    def test_the_folder_goes_lock_last_and_what_another_command_has_begun_stays(self, folder, monkeypatch):
        order = []
        usual = type(folder.path).unlink

        def unlink(path, **options):
            order.append(path.name)
            usual(path, **options)
            if path.name == "lock":  # another command begins
                (folder.path / "new").write_text("theirs")

        with folder.exclusive_lock():
            monkeypatch.setattr(type(folder.path), "unlink", unlink)
            folder.delete_folder()
            monkeypatch.undo()
        assert order[-1] == "lock"
        assert (folder.path / "new").read_text() == "theirs"

    @pytest.mark.parametrize("what", ["lock", "."])
    def test_what_has_taken_its_place_is_set_aside(self, folder, what):
        place = folder.path / what
        shutil.rmtree(folder.path)
        if what == "lock":
            place.mkdir(parents=True)
        else:
            folder.path.write_text("a file where the folder should be")
        with folder.exclusive_lock():
            folder.record("note", key="k", value=1)
        assert folder.plugin_notes() == {"k": 1}
