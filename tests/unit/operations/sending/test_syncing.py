"""FILES at each start, and what `sync` leaves out."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from clusterctl.config.cluster_section import ClusterSection
from clusterctl.files import FileToSend
from clusterctl.node.syncing import Synced
from clusterctl.operations.sending import syncing
from clusterctl.operations.sending.listing import leave_ignored_out, list_files
from clusterctl.testing import fake_node


def test_local_and_remote_are_told_apart(tmp_path):
    section = ClusterSection.model_validate({"files": "data.csv:data/, C:/models:m"}, context={"files": tmp_path})
    assert section.files == (FileToSend(tmp_path / "data.csv", "data/"), FileToSend(tmp_path / "C:/models", "m"))
    assert str(section.files[0]) == f"{tmp_path}/data.csv:data/"


@pytest.mark.parametrize("text", ["data.csv", "data.csv:", ":data", ": "])
def test_half_of_it_is_refused(text):
    with pytest.raises(ValueError, match="expected LOCAL:REMOTE"):
        ClusterSection.model_validate({"files": text})


def test_what_is_ignored_is_never_deleted(tmp_path, allow_subprocess):
    (tmp_path / ".clusterctlignore").write_text("data/\n*.log\n")
    names = ["data/x", "a.log", "a.py", "pkg/__pycache__/a.pyc", ".venv/bin/python"]
    assert leave_ignored_out(tmp_path, names) == ["a.py"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("build\n")
    assert leave_ignored_out(tmp_path, [*names, "build/x", "ä.py"]) == ["a.py", "ä.py"]
    assert list_files(tmp_path) == ([".clusterctlignore", ".gitignore"], True)


@pytest.fixture
def brought(monkeypatch):
    """What went to which node."""
    seen = []

    def sync_to_node(remote, tree, target, on_progress):
        seen.append((remote.node.alias, tree.name, str(target.path), target.into))
        return Synced((tree.name,), 1, (), 0, ())

    monkeypatch.setattr(syncing, "sync_to_node", sync_to_node)
    return seen


@pytest.fixture
def bring():
    """Brings files to three nodes; returns what was said, and the problems."""

    def bring(files):
        layout = replace(fake_node().layout, home=PurePosixPath("/home/me"))
        nodes = [fake_node(alias, layout=layout) for alias in ("master", "node001", "node002")]
        said, problems = [], []
        section = ClusterSection.model_validate({"files": files})
        own = SimpleNamespace(
            node=lambda alias: next(node for node in nodes if node.alias == alias),
            on=lambda node: SimpleNamespace(node=node),
            close=lambda: None,
        )
        context = SimpleNamespace(
            settings=SimpleNamespace(cluster=section),
            make_cluster=lambda nodes: own,
            provider=SimpleNamespace(facets=frozenset()),
        )
        syncing.bring_files(context, SimpleNamespace(nodes=nodes, say=said.append, problem=problems.append))
        return said, problems

    return bring


def test_what_all_share_goes_to_the_master_and_the_rest_to_every_node(brought, tmp_path, bring):
    (tmp_path / "data.csv").write_text("1,2")
    said, problems = bring(f"{tmp_path}/data.csv:data/, {tmp_path}/data.csv:/scratch/x.csv")
    home = "/home/me"
    assert brought[0] == ("master", "data.csv", f"{home}/data", True)
    assert sorted(brought[1:]) == [
        (alias, "data.csv", "/scratch/x.csv", False) for alias in ("master", "node001", "node002")
    ]
    assert problems == []
    assert len(said) == 2


def test_what_has_gone_since_is_a_problem_and_no_end(brought, tmp_path, bring):
    _, problems = bring(f"{tmp_path}/gone:data/")
    assert problems == [f"FILES: there is no {tmp_path}/gone on this computer any more"]
