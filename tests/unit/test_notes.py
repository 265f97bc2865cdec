"""Notes: typed where they are used, plain JSON where they are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from clusterctl.api import Note
from clusterctl.notes import ENGINE_IDS
from clusterctl.testing import fake_cluster


@dataclass(frozen=True)
class Numbers:
    name: str
    uid: int
    shares: tuple[PurePosixPath, ...] = ()


NUMBERS = Note("my_plugin numbers", Numbers)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "x"),
        (dict[str, tuple[int, int]], {"node001": (0, 4)}),
        (tuple[PurePosixPath, ...], (PurePosixPath("/data"),)),
        (Numbers, Numbers("me", 1000, (PurePosixPath("/data"),))),
    ],
)
def test_a_value_comes_back_as_it_was_and_is_json_in_between(kind, value):
    note = Note("x", kind)
    assert note.load(json.loads(json.dumps(note.dump(value)))) == value


@pytest.mark.parametrize("stored", [None, "x", 7, {"name": "me"}, {"name": "me", "uid": "many"}])
def test_what_is_of_another_type_was_never_stored(stored):
    assert NUMBERS.load(stored) is None


def test_a_plugin_reads_and_writes_notes_of_its_own(tmp_path):
    cluster = fake_cluster(tmp_path)
    assert cluster.recall(NUMBERS) is None
    cluster.remember(NUMBERS, Numbers("me", 1000))
    assert cluster.recall(NUMBERS) == Numbers("me", 1000)
    assert cluster.remembered == {"my_plugin numbers": {"name": "me", "uid": 1000, "shares": []}}


def test_a_text_is_still_a_key_and_sees_what_the_note_wrote(tmp_path):
    cluster = fake_cluster(tmp_path, notes={"engine_ids": {"node001": [0, 4]}})
    assert cluster.recall(ENGINE_IDS) == {"node001": (0, 4)}
    cluster.remember("my_plugin numbers", {"name": "me", "uid": 7})
    assert cluster.recall(NUMBERS) == Numbers("me", 7)
    assert cluster.recall("engine_ids") == {"node001": [0, 4]}


def test_a_note_that_did_not_change_is_not_written_again(tmp_path):
    cluster = fake_cluster(tmp_path, notes={"engine_ids": {"node001": [0, 4]}})
    cluster.remembered.clear()
    cluster.remember(ENGINE_IDS, {"node001": (0, 4)})
    assert cluster.remembered == {}
