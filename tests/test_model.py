"""The nouns are frozen, and say what they are."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass
from pathlib import PurePosixPath

import pytest

from clusterctl import events, model
from clusterctl.testing import fake_node


def test_the_master_is_known_by_its_alias():
    assert fake_node("master").is_master
    assert not fake_node("node001").is_master


def test_every_noun_is_frozen():
    nouns = [noun for noun in (*vars(model).values(), *vars(events).values()) if is_dataclass(noun)]
    assert len(nouns) >= 10
    for noun in nouns:
        made = object.__new__(noun)
        with pytest.raises(FrozenInstanceError):
            setattr(made, fields(noun)[0].name, "x")


def test_a_layout_is_paths_of_the_node_not_of_the_laptop():
    assert all(isinstance(path, PurePosixPath) for path in asdict(fake_node().layout).values())
