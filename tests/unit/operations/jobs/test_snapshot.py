"""The files of a folder that go along with a job."""

from __future__ import annotations

import os
import subprocess

import pytest

from clusterctl.errors import UsageError
from clusterctl.operations.jobs import snapshot as snapshots
from clusterctl.operations.jobs.snapshot import take_snapshot
from clusterctl.operations.sending import listing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for module in (snapshots, listing):
        monkeypatch.setattr(module, "ask_git", lambda *_, **__: None)
    for name in ("train.py", "data/big.bin", "data/keep.csv", ".git/config", "pkg/__pycache__/a.pyc", "pkg/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def names(taken):
    return [file.path for file in taken.files]


def test_all_but_what_the_ignore_file_names(folder):
    assert names(take_snapshot(folder)) == ["data/big.bin", "data/keep.csv", "pkg/a.py", "train.py"]
    (folder / ".clusterctlignore").write_text("# large\n*.bin\n/pkg/\n.clusterctlignore\n")
    assert names(take_snapshot(folder)) == ["data/keep.csv", "train.py"]


def test_the_tree_is_what_is_in_it(folder):
    first = take_snapshot(folder)
    assert take_snapshot(folder).tree == first.tree
    (folder / "train.py").chmod(0o755)
    assert take_snapshot(folder).tree != first.tree


def test_links_are_links_and_pipes_are_left_out(folder):
    (folder / "link").symlink_to("train.py")
    (folder / "folder").symlink_to("data")
    os.mkfifo(folder / "pipe")
    taken = {file.path: file for file in take_snapshot(folder).files}
    assert [taken[name].is_link for name in ("link", "folder")] == [True, True]
    assert "pipe" not in taken


def test_a_large_folder_is_refused_with_its_largest(folder, monkeypatch):
    monkeypatch.setattr(snapshots, "LARGEST", 20)
    with pytest.raises(UsageError, match="The largest: data/keep"):
        take_snapshot(folder)


def test_a_file_that_shrinks_while_it_is_read_is_as_long_as_it_was(folder):
    taken = take_snapshot(folder)
    file = next(file for file in taken.files if file.path == "train.py")
    (folder / "train.py").write_text("t")
    assert b"".join(taken.read(file)) == b"t" + b"\0" * 7


def test_of_git_all_that_it_knows_or_would_take(tmp_path, allow_subprocess):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    for name in ("old.py", "gone.py", ".gitignore", "model.bin"):
        (tmp_path / name).write_text("*.bin" if name == ".gitignore" else name)
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.py").write_text("")
    taken = take_snapshot(tmp_path)
    assert names(taken) == [".gitignore", "new.py", "old.py"]
    assert len(taken.commit) == 40
    assert taken.is_dirty
