"""Ports and keys that outlive a master: brought back whole or not at all, and open to their owner alone."""

from __future__ import annotations

import json

import pytest

from clusterctl.on_node.with_ipyparallel.connection_files import write_private
from clusterctl.on_node.with_ipyparallel.records.kept_files import bring_back, keep

FILES = {
    "ipcontroller-engine": {"registration": 10001, "interface": "tcp://10.0.0.1", "location": "10.0.0.1"},
    "ipcontroller-client": {"registration": 10001, "control": 10002},
    "ipcontroller-curve": {"public": "p", "secret": "s"},
    "notebook": {"port": 10003, "token": "t"},
}


@pytest.fixture
def places(tmp_path):
    """Where a master has kept them, and an empty profile of the next one."""
    old, kept, new = (tmp_path / name for name in ("old", "home/.clusterctl/kept/id", "new"))
    for folder in (old, new):
        folder.mkdir()
    for name, content in FILES.items():
        write_private(old / f"{name}.json", content)
    keep(old, kept, write_private)
    return kept, new


def read(folder):
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_what_is_kept_is_its_owners_alone(places):
    kept, _ = places
    assert read(kept) == FILES
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}


def test_the_next_master_has_the_same_at_its_own_address(places):
    kept, new = places
    bring_back(kept, new, "10.0.0.9", write_private)
    moved = {"interface": "tcp://10.0.0.9", "location": "10.0.0.9"}
    terms = {"ipcontroller_terms": {"engine_ip": "10.0.0.9", "curve": True}}
    engine = {"ipcontroller-engine": {**FILES["ipcontroller-engine"], **moved}}
    assert read(new) == {**FILES, **engine, **terms}


@pytest.mark.parametrize("count", range(5))
def test_a_profile_that_was_half_filled_when_its_program_was_killed_is_filled(places, count):
    kept, new = places
    written = []

    def write(path, content):
        if len(written) == count:
            raise KeyboardInterrupt
        written.append(path)
        write_private(path, content)

    with pytest.raises(KeyboardInterrupt):
        bring_back(kept, new, "10.0.0.9", write)
    bring_back(kept, new, "10.0.0.9", write_private)
    found = read(new)
    assert found.keys() == {*FILES, "ipcontroller_terms"}
    assert found["ipcontroller-engine"]["location"] == "10.0.0.9"


def test_a_profile_that_is_whole_stays_as_it_is(places, tmp_path):
    kept, new = places
    own = {"registration": 1}
    for name in FILES:
        write_private(new / f"{name}.json", own)
    bring_back(kept, new, "10.0.0.9", write_private)
    assert all(content == own for content in read(new).values())


@pytest.mark.parametrize("damage", ["", "[]", "{"])
@pytest.mark.parametrize("name", [name for name in FILES if name != "notebook"])
def test_of_what_was_kept_in_part_nothing_is_taken(places, name, damage):
    kept, new = places
    (kept / f"{name}.json").write_text(damage)
    bring_back(kept, new, "10.0.0.9", write_private)
    assert read(new) == {}


def test_a_place_that_cannot_be_written_is_named(places, tmp_path):
    _, new = places
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="ports and keys cannot be kept in"):
        keep(new, tmp_path / "file" / "kept", write_private)
