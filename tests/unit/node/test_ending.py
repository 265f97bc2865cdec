"""Who works on nodes, as they and plugins' programs say: a node's word is not taken for more."""

from __future__ import annotations

import json

import pytest

from clusterctl.errors import RemoteError
from clusterctl.node.ending import ask_programs, ask_who_works
from clusterctl.testing import fake_cluster

PROGRAMS = ({"cause": "page", "program": "", "values": {}},)


@pytest.fixture
def says(tmp_path):
    """A cluster whose nodes answer so."""
    return lambda said: fake_cluster(
        tmp_path, answers={"ask who works": said if isinstance(said, str) else json.dumps(said)}
    )


def test_without_programs_nobody_is_asked(says):
    cluster = says({"nodes": {"node001": "x"}, "silent": []})
    assert ask_programs(cluster, ()) == {}
    assert cluster.ran == []


def test_what_is_at_work_is_said_by_node_and_moves_no_cursor(says):
    cluster = says({"nodes": {"node001": "\x1b[2J2 tasks"}, "silent": []})
    assert ask_programs(cluster, PROGRAMS) == {"node001": "\\x1b[2J2 tasks"}
    assert ask_who_works(says({"work": ["a login", "a job"]}), cluster.master) == "a login; a job"


def test_a_program_that_does_not_say_it_is_named(says):
    with pytest.raises(RemoteError, match="dask: nobody can say what works"):
        ask_programs(says({"nodes": {}, "silent": ["dask"]}), PROGRAMS)


@pytest.mark.parametrize(
    "said", ["", "{", "[]", "7", "{}", '{"nodes": 7}', '{"nodes": [], "silent": 3}', '{"work": 7}']
)
def test_what_is_no_answer_is_told(says, said):
    with pytest.raises(RemoteError, match="cannot be read"):
        ask_programs(says(said), PROGRAMS)
    with pytest.raises(RemoteError, match="cannot be read"):
        ask_who_works(says(said), says(said).master)
