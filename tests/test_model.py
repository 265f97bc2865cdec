"""Secrets show themselves nowhere by accident."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl import model
from clusterctl.model import Connection, Secret
from clusterctl.testing import fake_node

WORD = "hunter2"


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{!r}".format,
        "{:>20}".format,
        lambda secret: f"{secret}",
        lambda secret: f"{secret:s}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  the old way must be safe too
        lambda secret: str([secret]),
        lambda secret: repr(Connection("n", host="h", ports={}, url=secret)),
        lambda secret: str(asdict(Connection("n", host="h", ports={}, url=secret))),
    ],
)
def test_a_secret_shows_stars(show):
    shown = show(Secret(WORD))
    assert WORD not in shown
    assert "***" in shown


@given(st.text())
def test_a_secret_is_the_text_it_was_made_of(text):
    secret = Secret(text)
    assert secret.reveal() == text
    assert type(secret.reveal()) is str
    assert secret == text
    assert pickle.loads(pickle.dumps(secret)).reveal() == text
    assert Secret(secret).reveal() == text


def test_the_master_is_known_by_its_alias():
    assert fake_node("master").is_master
    assert not fake_node("node001").is_master


def test_every_noun_is_frozen():
    nouns = [noun for noun in vars(model).values() if is_dataclass(noun)]
    assert len(nouns) >= 10
    for noun in nouns:
        made = object.__new__(noun)
        with pytest.raises(FrozenInstanceError):
            setattr(made, fields(noun)[0].name, "x")


def test_a_layout_is_paths_of_the_node_not_of_the_laptop():
    assert all(isinstance(path, PurePosixPath) for path in asdict(fake_node().layout).values())
