"""Environment variables of a template: how they are written, and what nodes cannot be given."""

from __future__ import annotations

import pytest

from clusterctl.config.cluster_section import ClusterSection
from clusterctl.environment.variables import find_fault
from clusterctl.options import read_section


def read(text):
    section, faults = read_section(ClusterSection, {"variables": text})
    return section.variables if section else faults


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("A=1", ("A=1",)),
        ("A=1 B=2\n  C=3", ("A=1", "B=2", "C=3")),
        ('TITLE="a, b and c" B=\'it is "it"\'', ("TITLE=a, b and c", 'B=it is "it"')),
        ("LIST=a,b,c,", ("LIST=a,b,c,",)),
        ("URL=http://x/?a=b=c EMPTY=", ("URL=http://x/?a=b=c", "EMPTY=")),
    ],
)
def test_they_are_words_as_a_shell_has_them(text, words):
    assert read(text) == words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A=1, B=2", "expected blanks between variables and no commas, got 'A=1,'"),
        ("TITLE=a b", "expected KEY=value, got 'b'; a value with blanks must be in quotation marks"),
        ('A="b', "a quotation mark is not closed"),
        ("2A=1", "'2A' cannot be the name of a variable"),
        ("A-B=1", "'A-B' cannot be the name of a variable"),
        ("HOME=/x", "HOME is set on nodes already"),
        ("CLUSTERCTL_NODE=x", "CLUSTERCTL_NODE is set on nodes already"),
        ('A="b\nc"', "A has a line end"),
        ("A=b#c", "A has a #"),
    ],
)
def test_what_nodes_cannot_be_given_is_refused(text, says):
    ((key, fault),) = read(text)
    assert key == "variables"
    assert says in fault


def test_every_printable_value_but_a_comment_may_be_given():
    assert find_fault("A", 'it\'s "a" $b `c` \\ ;%{}') == ""
