"""What everybody who talks to a node relies on; how it is done over SSH: test_ssh.py."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.remote.base import join_command


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("ls | wc -l",), "ls | wc -l"),
        (("ls", "-l"), "ls -l"),
        (("echo", "a b", "$HOME", "it's"), "echo 'a b' '$HOME' 'it'\"'\"'s'"),
    ],
)
def test_one_word_is_a_command_line_and_several_are_words(words, command):
    assert join_command(words) == command


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=5).map(tuple))
def test_several_words_arrive_as_they_are(words):
    assert tuple(shlex.split(join_command(words))) == words
