"""Secrets show themselves nowhere by accident."""

from __future__ import annotations

import pickle
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.model import Connection
from clusterctl.secret import Secret

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


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_secret_is_the_text_it_was_made_of(text):
    secret = Secret(text)
    assert secret.reveal() == text
    assert type(secret.reveal()) is str
    assert secret == text
    assert pickle.loads(pickle.dumps(secret)).reveal() == text
    assert Secret(secret).reveal() == text
