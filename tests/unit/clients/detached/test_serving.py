"""The master's end of a question about detached maps."""

from __future__ import annotations

import io
import json

import pytest

from clusterctl.clients.detached.local_store import LocalStore
from clusterctl.clients.serve_detached import Service
from clusterctl.clients.serving import CutOffError

ORDER = {"name": "a", "digest": "d", "total": 2, "star": 0, "most": None, "options": {}}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(LocalStore, "_begin", lambda *_: None)
    return LocalStore(tmp_path / "maps")


def ask(store, asked, content=b""):
    return Service(store, io.BytesIO(json.dumps(asked).encode() + b"\n" + content)).answer()


def submit(store, content=b"functionitems", **differing):
    return ask(store, {"do": "submit", "order": {**ORDER, **differing}, "function": 8, "items": 5}, content)


def test_a_map_is_taken_whole(store, tmp_path):
    head, content = submit(store)
    assert (head["said"]["total"], head["said"]["state"], content) == (2, "interrupted", b"")
    place = tmp_path / "maps" / "a"
    assert ((place / "function").read_bytes(), (place / "items").read_bytes()) == (b"function", b"items")
    assert place.stat().st_mode & 0o777 == 0o700


def test_one_that_was_cut_off_on_its_way_is_not_begun(store, tmp_path):
    with pytest.raises(CutOffError):
        submit(store, b"functionit")
    assert not (tmp_path / "maps").exists()


def test_what_is_there_comes_as_bytes(store, tmp_path):
    submit(store)
    (tmp_path / "maps" / "a" / "results").write_bytes(b"records")
    head, content = ask(store, {"do": "read", "name": "a", "offset": 2, "wait_s": 0})
    assert (content, head["size"]) == (b"cords", 5)


def test_an_error_comes_with_its_remedy(store):
    assert ask(store, {"do": "look", "name": "b"})[0] == {
        "error": "there is no detached map b on this cluster",
        "remedy": "there are: none",
        "size": 0,
    }


def test_a_disk_that_is_full_is_said(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clusterctl.clients.detached.local_store.os.fsync", full)
    head, _ = submit(store)
    assert head["error"] == "the map cannot be kept on the master: No space left on device"


def test_what_was_left_of_killed_orders_and_fetched_long_ago_goes(store, tmp_path):
    import os
    import time

    maps = tmp_path / "maps"
    submit(store)
    (maps / "a" / "fetched").touch()
    (maps / ".b.7.new").mkdir()
    submit(store, name="c")
    assert sorted(path.name for path in maps.iterdir()) == [".b.7.new", "a", "c"]
    old = time.time() - 31 * 86400
    for path in (maps / "a" / "fetched", maps / ".b.7.new"):
        os.utime(path, (old, old))
    submit(store, name="d")
    assert sorted(path.name for path in maps.iterdir()) == ["c", "d"]
