"""The one writer of files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from clusterctl.errors import UsageError
from clusterctl.files import ensure_folder, expand_user, read_own, user_home, write_atomically


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_text_and_bytes_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / "text", "ä\n\r\n")
    write_atomically(tmp_path / "bytes", b"\xff")
    assert (tmp_path / "text").read_bytes() == "ä\n\r\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\xff"


@pytest.mark.usefixtures("open_umask")
def test_only_the_owner_reads_it_even_if_others_could_read_the_old_one(tmp_path):
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_atomically(path, "new")
    assert (mode(path), path.read_text()) == (0o600, "new")
    write_atomically(path, "public", mode=0o644)
    assert mode(path) == 0o644


@pytest.mark.usefixtures("open_umask")
def test_mode_then_content_then_disk_then_name(tmp_path, monkeypatch):
    path = tmp_path / "key"
    path.write_text("old")
    seen = []

    def sync(descriptor):
        (draft,) = [entry for entry in tmp_path.iterdir() if entry != path]
        seen.append((mode(draft), draft.read_text(), path.read_text()))

    monkeypatch.setattr(os, "fsync", sync)
    write_atomically(path, "new")
    assert seen == [(0o600, "new", "old")]
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("step", ["fsync", "open"])
def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch, step):
    path = tmp_path / "key"
    path.write_text("old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("key", "old")]


def test_a_folder_of_that_name_is_an_error_and_stays(tmp_path):
    (tmp_path / "key").mkdir()
    with pytest.raises(OSError, match="key"):
        write_atomically(tmp_path / "key", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_folder_is_made_for_its_owner_alone_and_so_are_those_above_it(tmp_path, open_umask):
    ensure_folder(tmp_path / "a" / "b")
    assert [mode(path) for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]
    (tmp_path / "a").chmod(0o755)
    ensure_folder(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == 0o755  # somebody may have wanted that


def test_a_damaged_file_of_ours_is_read_without_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"a\x80b")
    assert read_own(tmp_path / "file") == "a\N{REPLACEMENT CHARACTER}b"
    assert read_own(tmp_path) == read_own(tmp_path / "none") == ""


def test_a_home_that_nobody_knows_is_an_error_that_says_what_to_set(monkeypatch):
    monkeypatch.setattr(Path, "home", classmethod(lambda _: Path("~").expanduser()))
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UsageError, match="nobody says where your home is") as caught:
        user_home()
    assert caught.value.remedy == "set HOME to a folder of yours"


def test_a_path_below_the_home_of_nobody_here_stays_as_it_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_user(Path("~/x")) == Path("/home/me/x")
    assert expand_user(Path("~nobody-of-this-name/x")) == Path("~nobody-of-this-name/x")
