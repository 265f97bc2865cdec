"""Both ends of a copy, without a node between them: what goes through, and what a hostile or a broken one can do."""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clusterctl.node.programs import node_program
from clusterctl.on_node.system.copying import placing
from clusterctl.on_node.system.copying.aside import ASIDE, built_aside
from clusterctl.on_node.system.copying.frames import FORMAT, CopyError, FrameKind, make_frame, pack_frame
from clusterctl.on_node.system.copying.receiving import receive
from clusterctl.on_node.system.copying.sending import Outgoing, find_sources

from ....support.trees import describe, make_tree


def stream_of(*sources):
    return b"".join(Outgoing(sources).stream())


def take_in(stream, target, *, into=False, trusted=False, **more):
    return receive(io.BytesIO(stream), target, into=into, trusted=trusted, **more)


def entry(kind, path, **more):
    return make_frame(FrameKind.ENTRY, {"kind": kind, "path": path, "mode": 0o755, "time": 1, **more})


def file(path, content=b"x"):
    data = pack_frame(FrameKind.DATA, content)
    return entry("file", path) + data + make_frame(FrameKind.END_OF_FILE, {})


def made_by_hand(*frames):
    start = make_frame(FrameKind.ENTRY, {"files": 1, "size": 1})
    return FORMAT + start + b"".join(frames) + make_frame(FrameKind.END, {})


class TestThereAndBack:
    @pytest.mark.parametrize("seed", range(12))
    def test_a_tree_of_every_kind_equals_itself(self, tmp_path, seed):
        make_tree(tmp_path / "sent", seed)
        copied = take_in(stream_of(tmp_path / "sent"), tmp_path / "back")
        assert copied.omitted == []
        assert describe(tmp_path / "back") == describe(tmp_path / "sent")
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(ASIDE)] == []

    def test_the_same_again_changes_nothing_and_keeps_what_else_is_there(self, tmp_path):
        make_tree(tmp_path / "sent", 3)
        for _ in range(2):
            take_in(stream_of(tmp_path / "sent"), tmp_path / "back")
            (tmp_path / "back" / "own").write_text("mine")
        (tmp_path / "back" / "own").unlink()
        assert describe(tmp_path / "back") == describe(tmp_path / "sent")

    def test_a_file_replaces_a_file_and_goes_into_a_folder(self, tmp_path):
        (tmp_path / "a").write_text("new")
        (tmp_path / "b").write_text("old")
        (tmp_path / "folder").mkdir()
        take_in(stream_of(tmp_path / "a"), tmp_path / "b")
        take_in(stream_of(tmp_path / "a"), tmp_path / "folder")
        assert [(tmp_path / name).read_text() for name in ("b", "folder/a")] == ["new", "new"]

    def test_several_go_into_a_folder_that_need_not_be_there(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).write_text(name)
        copied = take_in(stream_of(tmp_path / "a", tmp_path / "b"), tmp_path / "x" / "y")
        assert copied.files == 2
        assert sorted(path.name for path in (tmp_path / "x" / "y").iterdir()) == ["a", "b"]

    def test_a_link_that_is_named_is_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "a").write_text("a")
        (tmp_path / "link").symlink_to("real")
        take_in(stream_of(tmp_path / "link"), tmp_path / "back")
        assert (tmp_path / "back" / "a").read_text() == "a"
        assert not (tmp_path / "back").is_symlink()

    def test_progress_ends_at_the_totals(self, tmp_path):
        (tmp_path / "a").write_bytes(bytes(300_000))
        told = []
        take_in(stream_of(tmp_path / "a"), tmp_path / "b", on_progress=lambda *now: told.append(now))
        assert told[-1][:2] == tuple(told[-1][2]) == (1, 300_000)


class TestLeftOut:
    def test_what_cannot_be_copied_is_named_and_the_rest_is_there(self, tmp_path, allow_loopback):
        (tmp_path / "sent").mkdir()
        (tmp_path / "sent" / "a").write_text("a")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(tmp_path / "sent" / "socket"))
            copied = take_in(stream_of(tmp_path / "sent"), tmp_path / "back")
        assert copied.omitted == [("sent/socket", "it is a socket")]
        assert (tmp_path / "back" / "a").read_text() == "a"

    def test_a_file_that_cannot_be_read_to_its_end_is_no_file(self, tmp_path):
        broken = entry("file", "a") + pack_frame(FrameKind.DATA, b"half")
        broken += make_frame(FrameKind.END_OF_FILE, {"failed": "Input/output error"})
        copied = take_in(made_by_hand(broken, file("b")), tmp_path, into=True)
        assert copied.omitted == [("a", "cannot be read: Input/output error")]
        assert [path.name for path in tmp_path.iterdir()] == ["b"]

    def test_a_file_that_is_gone_or_became_a_pipe_meanwhile_keeps_nobody_waiting(self, tmp_path):
        for name in ("gone", "pipe"):
            (tmp_path / "sent").mkdir(exist_ok=True)
            (tmp_path / "sent" / name).write_text("x")
        outgoing = Outgoing([tmp_path / "sent"])
        (tmp_path / "sent" / "gone").unlink()
        (tmp_path / "sent" / "pipe").unlink()
        os.mkfifo(tmp_path / "sent" / "pipe")
        copied = take_in(b"".join(outgoing.stream()), tmp_path / "back")
        assert dict(copied.omitted) == {
            "sent/gone": "No such file or directory",
            "sent/pipe": "it is no file any more",
        }

    def test_programs_that_run_as_their_owner_become_plain_ones(self, tmp_path):
        take_in(made_by_hand(entry("file", "a", mode=0o4755) + make_frame(FrameKind.END_OF_FILE, {})), tmp_path / "a")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) in (0o755, 0o4755 & 0o1777)


HOSTILE = {
    "up": file("../evil"),
    "absolute": file("/tmp/evil"),
    "up within": entry("folder", "x") + file("x/../../evil"),
    "dot": file("."),
    "nothing": file(""),
    "nul": file("a\0b"),
    "below nothing": file("never/made/evil"),
    "through a link": entry("folder", "x") + entry("link", "x/l", target=".") + file("x/l/evil"),
    "a link up": entry("folder", "x") + entry("link", "x/l", target="../evil"),
    "an absolute link": entry("folder", "x") + entry("link", "x/l", target="/etc/passwd"),
    "a link up behind a step down": entry("folder", "x") + entry("link", "x/l", target="y/../../evil"),
    "a link in place of all": entry("link", "x", target="evil"),
    "no name": make_frame(FrameKind.ENTRY, {"kind": "file"}),
    "a name that is a number": make_frame(FrameKind.ENTRY, {"kind": "file", "path": 7}),
    "no kind": make_frame(FrameKind.ENTRY, {"path": "a"}),
    "an odd kind": entry("device", "a"),
    "twice": file("a") + file("a"),
}


class TestHostileNode:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_nothing_leaves_the_target_and_what_was_refused_is_named(self, tmp_path, name):
        target = tmp_path / "deep" / "target"
        target.mkdir(parents=True)
        (target / "evil").write_text("mine")
        copied = take_in(made_by_hand(HOSTILE[name], file("good")), target, into=True)
        assert len(copied.omitted) == 1
        assert (target / "good").read_text() == "x"
        assert (target / "evil").read_text() == "mine"
        assert [path for path in tmp_path.rglob("*") if "evil" in path.name] == [target / "evil"]
        assert all(path.resolve().is_relative_to(target) for path in target.rglob("*"))

    def test_a_link_that_is_there_is_replaced_and_not_followed(self, tmp_path):
        (tmp_path / "mine").write_text("mine")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "l").symlink_to(tmp_path / "mine")
        take_in(made_by_hand(entry("folder", "x") + file("x/l")), tmp_path / "out")
        assert (tmp_path / "mine").read_text() == "mine"
        assert not (tmp_path / "out" / "l").is_symlink()

    def test_a_folder_does_not_go_through_a_link_that_is_there(self, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "l").symlink_to(tmp_path / "mine")
        with pytest.raises(CopyError, match="is no folder there"):
            take_in(made_by_hand(entry("folder", "x") + entry("folder", "x/l") + file("x/l/a")), tmp_path / "out")
        assert [*(tmp_path / "mine").iterdir()] == []

    @pytest.mark.parametrize(
        "stream",
        [
            b"",
            b"Last login: yesterday\n",
            FORMAT,
            FORMAT + b"h\xff\xff\xff\xff",
            FORMAT + b"?\0\0\0\0",
            FORMAT + pack_frame(FrameKind.ENTRY, b"[" * 60_000),
            FORMAT + pack_frame(FrameKind.ENTRY, b"7"),
        ],
    )
    def test_what_is_no_copy_is_refused(self, tmp_path, stream):
        with pytest.raises(CopyError):
            take_in(stream, tmp_path / "a")
        assert [*tmp_path.iterdir()] == []


class TestBadDays:
    def test_cut_off_anywhere_nothing_is_changed(self, tmp_path):
        make_tree(tmp_path / "sent", 5)
        stream = stream_of(tmp_path / "sent")
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "own").write_text("mine")
        for end in sorted({*range(0, len(stream), max(1, len(stream) // 40)), len(stream) - 1}):
            with pytest.raises(CopyError, match="cut off"):
                take_in(stream[:end], tmp_path / "to" / "back")
            assert [path.name for path in (tmp_path / "to").iterdir()] == ["own"]

    def test_a_full_disk_is_an_error_and_nothing_is_changed(self, tmp_path, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device", str(tmp_path / "b"))

        (tmp_path / "a").write_text("a")
        monkeypatch.setattr(placing.os, "utime", full)
        with pytest.raises(CopyError, match="No space left on device"):
            take_in(stream_of(tmp_path / "a"), tmp_path / "b")
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    @pytest.mark.parametrize(("there", "sent"), [("folder", "file"), ("file", "folder")])
    def test_what_stands_in_the_way_is_found_before_anything_moves(self, tmp_path, there, sent):
        place = tmp_path / "out" / "b"
        (place if there == "folder" else place.parent).mkdir(parents=True)
        if there == "file":
            place.write_text("old")
        body = entry("folder", "x") + file("x/a")
        body += file("x/b") if sent == "file" else entry("folder", "x/b")
        with pytest.raises(CopyError, match=f"{place} is "):
            take_in(made_by_hand(body), tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]

    def test_what_a_killed_copy_left_goes_with_the_next_but_not_what_is_in_use(self, tmp_path, allow_subprocess):
        program = tmp_path / "program"
        program.write_text(
            node_program("clusterctl.on_node.system.copying.program", {"target": str(tmp_path / "b"), "into": False})
        )
        (tmp_path / "a").write_text("a")
        stream = stream_of(tmp_path / "a")
        with subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE) as other:
            other.stdin.write(stream[:-10])
            other.stdin.flush()
            while not (asides := [*tmp_path.glob(f"{ASIDE}*/a")]):
                assert other.poll() is None
            take_in(stream, tmp_path / "c")
            assert [*tmp_path.glob(f"{ASIDE}*/a")] == asides
            other.kill()
        take_in(stream, tmp_path / "c")
        assert [*tmp_path.glob(f"{ASIDE}*")] == []


class TestSources:
    def test_an_exact_name_comes_before_a_pattern(self, tmp_path):
        for name in ("br[1].txt", "br1.txt"):
            (tmp_path / name).write_text("")
        assert find_sources([f"{tmp_path}/br[1].txt"]) == [tmp_path / "br[1].txt"]
        assert find_sources([f"{tmp_path}/br[12].txt"]) == [tmp_path / "br1.txt"]

    def test_wildcards_may_be_anywhere_and_each_path_comes_once(self, tmp_path):
        for name in ("x", "y"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.txt").write_text("")
        expected = [tmp_path / "x" / "a.txt", tmp_path / "y" / "a.txt"]
        assert find_sources([f"{tmp_path}/*/a.txt", f"{tmp_path}/x/*"]) == expected

    def test_a_name_that_nothing_has_is_an_error(self, tmp_path):
        with pytest.raises(CopyError, match=r"there is no .*/\*\.log"):
            find_sources([f"{tmp_path}/*.log"])

    def test_a_folder_is_called_as_it_is_however_it_is_named(self, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        copied = stream_of(Path())
        take_in(copied, tmp_path / "there", into=True)
        assert [path.name for path in (tmp_path / "there").iterdir()] == ["here"]


def test_a_folder_that_another_copy_takes_for_left_over_is_made_anew(tmp_path, monkeypatch):
    really_open, taken = os.open, []

    def open_late(path, *arguments, **about):
        if not taken:
            taken.append(Path(path))
            shutil.rmtree(path)
        return really_open(path, *arguments, **about)

    monkeypatch.setattr(os, "open", open_late)
    with built_aside(tmp_path / "target") as folder:
        assert folder.is_dir()
        assert folder not in taken
