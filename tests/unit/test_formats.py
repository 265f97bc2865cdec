"""Format numbers: what has none is read, what a newer version wrote is refused with what to install."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl import __version__
from clusterctl.environment import lock as locks
from clusterctl.errors import NewerFormatError, StateError
from clusterctl.formats import Format, read_known
from clusterctl.journal import ClusterFolder
from clusterctl.model import Connection
from clusterctl.providers.docker import containers
from clusterctl.providers.docker import records as docker_records
from clusterctl.providers.local import LocalProvider, nodes
from clusterctl.providers.static import hosts, records
from clusterctl.secret import Secret
from clusterctl.testing import fake_node
from clusterctl.tunnel import process, publish

from ..support.containers import RECORD as RECORD_OF_CONTAINER
from ..support.containers import inspected

RECORD = Format("the record", 3)


def test_a_stamped_record_is_read_back_as_it_was():
    stamped = RECORD.stamp({"a": 1})
    assert stamped == {"format": 3, "written_by": __version__, "a": 1}
    assert RECORD.unstamp(stamped, "here") == {"a": 1}


def test_a_record_without_a_number_is_of_the_first_version():
    assert RECORD.unstamp({"a": 1}, "here") == {"a": 1}
    assert RECORD.check(None, None, "here") == RECORD.check("", "", "here") == 0


@given(st.integers(0, 3))
def test_older_formats_are_known_as_numbers_and_as_texts(number):
    assert RECORD.check(number, "", "here") == RECORD.check(str(number), "", "here") == number


def test_a_newer_format_is_refused_with_who_wrote_it_and_what_to_install():
    with pytest.raises(NewerFormatError) as caught:
        RECORD.unstamp({"format": 4, "written_by": "0.9.1", "a": 1}, "/some/file")
    assert isinstance(caught.value, StateError)
    assert caught.value.message == (
        f"the record /some/file has format 4, which clusterctl 0.9.1 wrote, and this clusterctl {__version__} knows 3"
        " at most"
    )
    assert caught.value.remedy == "install what wrote it, or a newer one: `pip install 'clusterctl>=0.9.1'`"


def test_a_newer_format_of_an_unknown_version_asks_for_the_newest():
    with pytest.raises(NewerFormatError, match="clusterctl of a newer version wrote") as caught:
        RECORD.check("4", None, "here")
    assert caught.value.remedy.endswith("`pip install --upgrade clusterctl`")


@pytest.mark.parametrize("number", ["much", [], 1.5, {}])
def test_a_number_that_is_none_is_no_format(number):
    with pytest.raises(ValueError, match="invalid literal"):
        RECORD.check(number, None, "here")


def test_a_question_about_all_leaves_out_what_a_newer_version_wrote():
    def read(number):
        RECORD.check(number, None, "here")
        return number

    assert read_known(read, [1, 4, 3]) == [1, 3]


def stamp_of(number, writer="0.9.1"):
    return {"format": number, "written_by": writer}


def rewrite(path, **changes):
    """Give a JSON file other values; those that are None go."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


class TestJournal:
    @pytest.fixture
    def folder(self, tmp_path):
        made = ClusterFolder(tmp_path, "lab")
        made.path.mkdir(parents=True)
        return made

    def lines(self, folder):
        return [json.loads(line) for line in folder.journal_file.read_text().splitlines()]

    def test_it_begins_with_its_number_once_and_its_readers_do_not_see_that(self, folder):
        folder.record("note", key="a", value=1)
        ClusterFolder(folder.path.parents[1], "lab").record("note", key="a", value=2)
        first, *others = self.lines(folder)
        assert {key: first[key] for key in ("event", "format", "written_by")} == {
            "event": "format",
            **stamp_of(1, __version__),
        }
        assert [event["event"] for event in others] == ["note", "note"]
        assert folder.events() == others

    def test_one_of_the_first_version_is_read_and_continued(self, folder):
        old = {"time": "2026-11-28T05:47:59+0000", "event": "note", "key": "python", "value": "3.11"}
        folder.journal_file.write_text(json.dumps(old) + "\n")
        assert folder.plugin_notes() == {"python": "3.11"}
        folder.record("note", key="a", value=1)
        assert folder.plugin_notes() == {"python": "3.11", "a": 1}
        assert [event["event"] for event in self.lines(folder)] == ["note", "format", "note"]

    def test_one_that_a_newer_version_has_continued_is_neither_read_nor_written(self, folder):
        folder.record("note", key="a", value=1)
        with folder.journal_file.open("a") as journal:
            journal.write(json.dumps({"event": "format", **stamp_of(2)}) + "\n")
        before = folder.journal_file.read_text()
        fresh = ClusterFolder(folder.path.parents[1], "lab")
        with pytest.raises(NewerFormatError, match=r"the journal .* which clusterctl 0.9.1 wrote"):
            fresh.wanted_nodes()
        with pytest.raises(NewerFormatError):
            fresh.record("note", key="a", value=2)
        assert folder.journal_file.read_text() == before


class TestConnections:
    @pytest.fixture
    def folder(self, tmp_path):
        made = ClusterFolder(tmp_path, "lab")
        made.path.mkdir(parents=True)
        publish.publish_connections(
            made, fake_node(), [Connection("web", host="", ports={}, url=Secret("http://x"))], mode="never"
        )
        return made

    def test_the_list_of_the_first_version_is_read(self, folder):
        path = folder.path / "connections.json"
        content = json.loads(path.read_text())
        assert content["format"] == 1
        path.write_text(json.dumps(content["connections"]))
        assert [(entry.name, entry.url.reveal()) for entry in publish.read_published(folder)] == [("web", "http://x")]

    def test_that_of_a_newer_one_is_refused(self, folder):
        rewrite(folder.path / "connections.json", **stamp_of(2))
        with pytest.raises(NewerFormatError):
            publish.read_published(folder)


class TestTunnel:
    TARGET = process.Target.for_node(fake_node(), Path("/k"), Path("/h"))
    FORWARDS = (process.Forward(1, "127.0.0.1", 2),)

    @pytest.fixture
    def opened(self, tmp_path, monkeypatch):
        """How often a tunnel's process was begun."""
        begun = []
        monkeypatch.setattr(
            process, "StandbyProcess", lambda _: SimpleNamespace(become_tunnel=lambda: begun.append(self))
        )
        process.open_tunnel(tmp_path, self.TARGET, self.FORWARDS)
        monkeypatch.setattr(process, "is_up", lambda _: True)
        return begun

    def test_one_that_the_first_version_opened_is_kept_and_so_is_its_file(self, opened, tmp_path):
        file = tmp_path / "tunnel.json"
        rewrite(file, format=None, written_by=None)
        before = file.read_text()
        process.open_tunnel(tmp_path, self.TARGET, self.FORWARDS)
        assert (len(opened), file.read_text()) == (1, before)
        assert process.read_forwards(tmp_path) == [*self.FORWARDS]

    def test_one_to_another_place_is_made_anew(self, opened, tmp_path):
        process.open_tunnel(tmp_path, self.TARGET, [process.Forward(1, "127.0.0.1", 3)])
        assert len(opened) == 2

    def test_that_of_a_newer_version_is_refused(self, opened, tmp_path):
        rewrite(tmp_path / "tunnel.json", **stamp_of(2))
        for act in (process.read_forwards, process.reopen_tunnel):
            with pytest.raises(NewerFormatError):
                act(tmp_path)


class TestLocalNode:
    RECORD = nodes.Record("lab", "master", "me", "127.0.0.1", 22, "ssh-ed25519 A", "ssh-ed25519 B", 2, "/run", "b", 0.0)
    RUNNING = nodes.Running("b", 2, "mark", 1, "mark")

    @pytest.fixture
    def folder(self, tmp_path):
        made = tmp_path / "lab" / "master"
        made.mkdir(parents=True)
        nodes.write_json(made / "node.json", self.RECORD)
        nodes.write_json(made / "pid", self.RUNNING)
        return made

    def test_its_records_have_numbers_and_those_of_the_first_version_are_read(self, folder):
        for name in ("node.json", "pid"):
            assert json.loads((folder / name).read_text())["format"] == 1
            rewrite(folder / name, format=None, written_by=None)
        assert nodes.read_record(folder) == self.RECORD
        assert nodes.read_running(folder, "b") == self.RUNNING

    def test_processes_of_a_newer_version_are_not_taken_for_a_node_that_is_off(self, folder):
        rewrite(folder / "pid", **stamp_of(2))
        with pytest.raises(NewerFormatError):
            nodes.read_running(folder, "b")

    def test_a_newer_one_is_refused_by_its_name_and_left_out_of_all(self, folder, tmp_path):
        rewrite(folder / "node.json", **stamp_of(2))
        provider = LocalProvider(tmp_path, {})
        with pytest.raises(NewerFormatError, match=r"the record of the node .* which clusterctl 0.9.1 wrote"):
            provider.nodes("lab")
        assert provider.nodes() == []


class TestHosts:
    @pytest.fixture
    def kept(self, tmp_path):
        host = hosts.Host("alpha", "10.0.0.1", 22, "admin")
        made = records.Records(tmp_path)
        made.write_record(records.Record("lab", "me", shared_home=False, members={"master": records.Member(host, "a")}))
        return made

    def test_their_record_has_a_number_and_that_of_the_first_version_is_read(self, kept, tmp_path):
        before = kept.read_cluster("lab")
        assert json.loads((tmp_path / "lab.json").read_text())["format"] == 1
        rewrite(tmp_path / "lab.json", format=None, written_by=None)
        assert kept.read_cluster("lab") == before

    def test_hosts_of_a_newer_version_are_left_out_of_a_list_and_nobody_takes_them(self, kept, tmp_path):
        rewrite(tmp_path / "lab.json", **stamp_of(2))
        assert kept.read_known() == []
        for read in (kept.read_all, lambda: kept.read_cluster("lab")):
            with pytest.raises(NewerFormatError):
                read()


class TestContainer:
    def test_its_labels_have_a_number_and_those_of_the_first_version_are_read(self):
        labels = RECORD_OF_CONTAINER.to_labels()
        assert (labels.pop("clusterctl.format"), labels.pop("clusterctl.version")) == ("1", __version__)
        assert docker_records.Record.from_labels(labels) == RECORD_OF_CONTAINER

    def test_one_of_a_newer_version_is_refused_by_its_name_and_left_out_of_all(self):
        labels = {**RECORD_OF_CONTAINER.to_labels(), "clusterctl.format": "2", "clusterctl.version": "0.9.1"}
        api = SimpleNamespace(
            containers=lambda **_: [{"Id": "0"}],
            inspect_container=lambda _: {**inspected(), "Config": {"Labels": labels}},
        )
        with pytest.raises(NewerFormatError, match="the container node001 of lab has format 2"):
            containers.find_containers(api, docker_records.Scope("me", "lab"))
        assert containers.find_containers(api, docker_records.Scope("me")) == []


class TestLock:
    TEXT = "a==1\nb==2\n"

    @pytest.mark.parametrize("text", [TEXT, "", "a==1"])
    def test_it_is_read_as_it_was_so_that_its_environment_keeps_its_name(self, tmp_path, text):
        locks.write_lock(tmp_path / "lock.txt", text)
        assert "clusterctl format 1" in (tmp_path / "lock.txt").read_text()
        assert locks.read_lock(tmp_path / "lock.txt").rstrip() == text.rstrip()

    def test_one_of_the_first_version_is_read(self, tmp_path):
        (tmp_path / "lock.txt").write_text(self.TEXT)
        path = tmp_path / "lock.txt"
        assert locks.read_lock(path, locks.digest(self.TEXT)) == self.TEXT
        assert locks.read_lock(path) is locks.read_cached(path) is None  # it may have been cut short

    def test_one_of_a_newer_version_is_refused_and_in_a_cache_made_anew(self, tmp_path):
        (tmp_path / "lock.txt").write_text(self.TEXT + "# clusterctl format 2 written by 0.9.1\n")
        with pytest.raises(NewerFormatError):
            locks.read_lock(tmp_path / "lock.txt")
        assert locks.read_cached(tmp_path / "lock.txt") is None
        assert locks.read_cached(tmp_path / "none.txt") is None
