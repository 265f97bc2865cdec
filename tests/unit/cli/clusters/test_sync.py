"""`sync`, and FILES, from the words of the command to the node."""

from __future__ import annotations

import pytest

from clusterctl.node.syncing import Synced
from clusterctl.on_node.system.copying.frames import Omitted
from clusterctl.operations.sending import syncing


@pytest.fixture
def sent(monkeypatch):
    """What is asked to go to which node; the node lacks it the first time."""
    seen = []

    def sync_to_node(remote, tree, target, on_progress, **options):
        is_new = (remote.node.alias, str(target.path)) not in [(one[0], one[1]) for one in seen]
        seen.append((remote.node.alias, str(target.path), target.into, options))
        deletes = options.get("choose_deleted")
        deleted = tuple(deletes(["old.py", "cache/x"])) if deletes else ()
        files = tuple(tree.below(entry) or tree.name for entry in tree.entries) if is_new else ()
        return Synced(files, 2_500_000, deleted, 7, tuple(tree.omitted))

    monkeypatch.setattr(syncing, "sync_to_node", sync_to_node)
    return seen


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "project"
    (made / "cache").mkdir(parents=True)
    (made / ".clusterctlignore").write_text("cache\n")
    for name in ("a.py", "cache/x"):
        (made / name).write_text("1")
    monkeypatch.setattr("clusterctl.operations.sending.listing.ask_git", lambda *_, **__: None)
    return made


def test_it_says_what_it_sent(run, laptop, sent, folder):
    run("start", "lab")
    said = run("sync", "lab", folder)
    assert said.status == 0
    assert "    + a.py\n" in said.out
    assert ">>> 3 files (2.5 MB) sent to master:project, 7 unchanged\n" in said.out
    assert "cache" not in said.out
    [(alias, target, into, options)] = sent
    assert (alias, target.rpartition("/")[2], into) == ("master", "project", False)
    assert (options["choose_deleted"], options["dry_run"]) == (None, False)


def test_as_json_to_several_nodes_with_deletions(run, laptop, sent, folder):
    run("start", "-s", "3", "lab")
    said = run("sync", "--delete", "--dry-run", "--json", "-n", 1, "-n", "node002", "-n", 1, "lab", folder, "code/")
    assert said.status == 0
    assert [one["node"] for one in said.json] == ["node001", "node002"]
    assert said.json[0]["deleted"] == ["old.py"]
    assert set(said.json[0]) == {"node", "sent", "bytes", "deleted", "unchanged", "omitted", "dry_run"}
    assert {one[2] for one in sent} == {True}


def test_what_is_left_out_is_named(run, laptop, sent, folder, monkeypatch):
    run("start", "lab")
    monkeypatch.setattr(
        syncing, "sync_to_node", lambda *_, **__: Synced(("a",), 1, (), 0, (Omitted("x", "it is a socket"),))
    )
    said = run("sync", "lab", folder)
    assert said.status == 1
    assert "master: left out: x: it is a socket" in said.err


def test_a_file_or_nothing_is_refused(run, laptop, sent, folder):
    run("start", "lab")
    assert run("sync", "lab", folder / "a.py").status == 2
    assert run("sync", "lab", folder / "none").status == 2
    assert not sent


@pytest.fixture
def with_files(laptop, folder):
    text = laptop.config.read_text()
    files = f"files = {folder}:code, {folder}/a.py:/scratch/\n"
    laptop.config.write_text(text.replace("[cluster small]\n", f"[cluster small]\n{files}"))


def test_files_go_at_each_start_and_to_a_node_that_joins_later(run, laptop, sent, with_files, folder):
    said = run("start", "-s", "2", "lab")
    assert said.status == 0
    assert "to master: code" in said.out
    assert "Brought 1 file of" in said.out
    assert sorted(one[0] for one in sent) == ["master", "master", "node001"]
    assert "Brought" not in run("start", "lab").out
    said = run("addnode", "lab")
    assert said.status == 0
    assert "node002" in {one[0] for one in sent}


def test_files_that_are_not_there_stop_a_start_before_anything_is_made(run, laptop, sent, with_files, folder):
    (folder / "a.py").unlink()
    said = run("start", "lab")
    assert said.status == 2
    assert f"FILES: there is no {folder}/a.py on this computer" in said.err
    assert "there is no cluster lab" in run("status", "lab").err
    assert not sent


def test_files_that_cannot_go_leave_a_cluster_and_a_warning(run, laptop, with_files):
    said = run("start", "lab")
    assert said.status == 1
    assert "FILES: code: master: sync to" in said.err
    assert run("status", "lab").out.startswith("lab: running")
