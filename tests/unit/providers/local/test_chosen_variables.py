"""What a template gives to the sessions of a local node."""

from __future__ import annotations

import pytest

from clusterctl.providers.local.environment import CHOSEN, chosen_variables
from clusterctl.providers.local.processes import NODE_ROOT


@pytest.fixture
def chosen(tmp_path):
    (tmp_path / "state").mkdir()

    def read(text):
        (tmp_path / "state" / "variables.json").write_text(text)
        return chosen_variables({NODE_ROOT: str(tmp_path)})

    return read


def test_they_are_read_with_their_names(chosen):
    assert chosen('{"A": "a b", "B": ""}') == {"A": "a b", "B": "", CHOSEN: "A B"}


@pytest.mark.parametrize("text", ["{}", "", "{", "[]", "null", '"A"'])
def test_of_none_and_of_a_damaged_file_there_are_none(chosen, text):
    assert chosen(text) == {}


def test_a_node_of_an_earlier_version_has_none(tmp_path):
    assert chosen_variables({NODE_ROOT: str(tmp_path)}) == chosen_variables({}) == {}
