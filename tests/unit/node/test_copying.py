"""A copy to and from a node, whose program runs for real: in a process of this computer, over pipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from clusterctl.errors import LostError, RemoteError
from clusterctl.node import copying
from clusterctl.testing import fake_node

from ...support.local_process import LocalProcess
from ...support.trees import describe, make_tree

pytestmark = pytest.mark.usefixtures("allow_subprocess")


@pytest.fixture
def remote():
    """A node that is this computer. It has no environment of the cluster's yet: the system's Python does it."""
    layout = replace(fake_node().layout, env=PurePosixPath("/nowhere"))
    return SimpleNamespace(node=fake_node(layout=layout), start_command=lambda command, **_: LocalProcess(command))


def target(path, *, into=False):
    return copying.Target(path, into=into)


def test_what_went_comes_back_as_it_was(remote, tmp_path):
    make_tree(tmp_path / "sent", 7)
    told = []
    copied = copying.copy_to_node(
        remote, [tmp_path / "sent"], target(tmp_path / "there"), lambda *now: told.append(now)
    )
    assert copied.omitted == []
    assert copied.files == told[-1][1].files
    assert told[-1][0] == told[-1][1].size == copied.size
    back = copying.copy_from_node(remote, [tmp_path / "there"], target(tmp_path / "back"), lambda *_: None)
    assert back == copied
    assert describe(tmp_path / "back") == describe(tmp_path / "sent")


def test_what_the_node_says_is_the_error(remote, tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a").mkdir()
    with pytest.raises(RemoteError, match=r"master: copy to .*b: .*b/a is a folder there"):
        copying.copy_to_node(remote, [tmp_path / "a"], target(tmp_path / "b"), lambda *_: None)
    with pytest.raises(RemoteError, match=r"master: copy: there is no .*nope"):
        copying.copy_from_node(remote, [tmp_path / "nope"], target(tmp_path / "x"), lambda *_: None)
    assert not (tmp_path / "x").exists()


def test_a_node_that_ends_early_is_an_error_and_not_a_wait(remote, tmp_path):
    (tmp_path / "a").write_bytes(bytes(3_000_000))
    remote.start_command = lambda *_, **__: LocalProcess("head -c 10000 >/dev/null; echo 'no Python here' >&2; exit 3")
    with pytest.raises(RemoteError, match="no Python here"):
        copying.copy_to_node(remote, [tmp_path / "a"], target(tmp_path / "b"), lambda *_: None)


def test_silence_and_a_lost_connection_can_be_told_from_failures(remote, tmp_path):
    class Silent(LocalProcess):
        def read(self, size=65536, /):
            raise TimeoutError

    class Lost(LocalProcess):
        def wait(self):
            return -1

    (tmp_path / "a").write_text("a")
    for kind, text in ((Silent, "it was silent for 120 s"), (Lost, "the connection was lost")):
        remote.start_command = lambda command, kind=kind, **_: kind(command)
        with pytest.raises(LostError, match=text):
            copying.copy_to_node(remote, [tmp_path / "a"], target(tmp_path / "b"), lambda *_: None)
