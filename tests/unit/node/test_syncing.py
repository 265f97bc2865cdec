"""A folder becomes on a node as it is here, by the program that the node runs: only what differs travels."""

from __future__ import annotations

import os

import pytest

from clusterctl.errors import RemoteError
from clusterctl.node.copying import Target
from clusterctl.node.syncing import LocalTree, sync_to_node
from clusterctl.testing import fake_node

from ...support.local_process import LocalProcess


class Here:
    """This computer as a node; its environment is nowhere, so that the system's Python does it."""

    def __init__(self):
        self.node = fake_node("node001")

    def start_command(self, command, *, idle_s):
        return LocalProcess(command)


class Says(Here):
    """A node that says something of its own."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def start_command(self, command, *, idle_s):
        return LocalProcess(f"printf '%s\\n' '{self.text}'; cat > /dev/null")


@pytest.fixture
def folder(tmp_path, allow_subprocess):
    made = tmp_path / "here" / "code"
    for name, content in {"a.py": "a", "pkg/b.py": "b", "pkg/deep/c.sh": "c"}.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(content)
    (made / "pkg" / "deep" / "c.sh").chmod(0o755)
    (made / "link").symlink_to("a.py")
    return made


def sync(tree, target, remote=None, *, into=False, **options):
    return sync_to_node(remote or Here(), tree, Target(target, into), lambda *_: None, **options)


def test_all_is_sent_once_and_then_only_what_differs(folder, tmp_path):
    there = tmp_path / "there"
    first = sync(LocalTree(folder), there)
    assert sorted(first.sent) == ["a.py", "link", "pkg/b.py", "pkg/deep/c.sh"]
    assert (there / "pkg" / "deep" / "c.sh").stat().st_mode & 0o777 == 0o755
    assert (there / "link").readlink().name == "a.py"
    again = sync(LocalTree(folder), there)
    assert (again.sent, again.size, again.unchanged) == ((), 0, 4)
    (folder / "pkg" / "b.py").write_text("other")
    (folder / "a.py").chmod(0o600)
    changed = sync(LocalTree(folder), there)
    assert sorted(changed.sent) == ["a.py", "pkg/b.py"]
    assert (there / "pkg" / "b.py").read_text() == "other"
    assert (there / "a.py").stat().st_mode & 0o777 == 0o600


def test_a_change_of_the_same_size_is_seen_by_its_time(folder, tmp_path):
    sync(LocalTree(folder), tmp_path / "there")
    (folder / "a.py").write_text("z")
    os.utime(folder / "a.py", (10**9, 10**9))
    assert sync(LocalTree(folder), tmp_path / "there").sent == ("a.py",)


def test_only_what_is_named_goes_and_the_folders_that_it_is_in(folder, tmp_path):
    there = tmp_path / "there"
    said = sync(LocalTree(folder, ["pkg/deep/c.sh"]), there)
    assert said.sent == ("pkg/deep/c.sh",)
    assert sorted(path.name for path in there.rglob("*")) == ["c.sh", "deep", "pkg"]


def test_a_dry_run_changes_nothing(folder, tmp_path):
    said = sync(LocalTree(folder), tmp_path / "there", dry_run=True, choose_deleted=list)
    assert len(said.sent) == 4
    assert not (tmp_path / "there").exists()


def test_what_is_not_here_stays_unless_it_is_to_go(folder, tmp_path):
    there = tmp_path / "there"
    sync(LocalTree(folder), there)
    (there / "old" / "deep").mkdir(parents=True)
    for name in ("old/deep/x", "kept.log", "pkg/y"):
        (there / name).write_text("old")
    assert sync(LocalTree(folder), there).deleted == ()
    said = sync(LocalTree(folder), there, choose_deleted=lambda paths: [p for p in paths if not p.endswith(".log")])
    assert sorted(said.deleted) == ["old/deep/x", "pkg/y"]
    assert sorted(path.name for path in there.iterdir()) == ["a.py", "kept.log", "link", "pkg"]


@pytest.mark.parametrize("into", [True, False])
def test_a_file_goes_into_a_folder_or_becomes_what_is_named(folder, tmp_path, into):
    there = tmp_path / "there"
    place = there / "a.py" if into else there
    assert sync(LocalTree(folder / "a.py"), there, into=into).sent == ("a.py",)
    assert place.read_text() == "a"
    assert sync(LocalTree(folder / "a.py"), there, into=into).unchanged == 1


def test_a_file_in_the_way_of_a_folder_is_said_and_nothing_changes(folder, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    (there / "pkg").write_text("mine")
    with pytest.raises(RemoteError, match="would have to become a folder"):
        sync(LocalTree(folder), there)
    assert [path.name for path in there.iterdir()] == ["pkg"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "?", "[]", "{}", '{"wanted": [99], "others": []}', '{"wanted": [-1], "others": []}'),
        *('{"wanted": ["x"], "others": []}', '{"wanted": [true], "others": []}', '{"wanted": [], "others": [7]}'),
    ],
)
def test_a_node_that_makes_no_sense_gets_nothing(folder, tmp_path, text):
    with pytest.raises(RemoteError, match="makes no sense"):
        sync(LocalTree(folder), tmp_path / "there", Says(text))
