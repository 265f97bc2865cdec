"""What a node is, told by its files: no process is needed for that."""

from __future__ import annotations

import os

from clusterctl.clock import utc_now
from clusterctl.model import NodeState
from clusterctl.providers.local.nodes import Record, hold_launch, is_launching, read_record, state_of, write_json

RECORD = Record("lab", "master", "me", "127.0.0.1", 2222, "key", "key", 1, "/run", "boot", utc_now().timestamp())


def test_a_node_boots_while_anybody_launches_it_however_new_its_record_is(tmp_path):
    assert state_of(tmp_path, RECORD) is NodeState.STOPPED
    with hold_launch(tmp_path):
        assert state_of(tmp_path, RECORD) is NodeState.PENDING
    assert state_of(tmp_path, RECORD) is NodeState.STOPPED


def test_a_launch_goes_on_until_the_last_one_has_let_it_go(tmp_path):
    with hold_launch(tmp_path) as command:
        passed = os.dup(command.fileno())
    try:
        assert is_launching(tmp_path)
    finally:
        os.close(passed)
    assert not is_launching(tmp_path)


def test_a_record_of_a_former_version_is_read(tmp_path):
    write_json(tmp_path / "node.json", RECORD)
    text = (tmp_path / "node.json").read_text()
    (tmp_path / "node.json").write_text(text.replace('"cores"', '"launcher": 12,\n "launcher_mark": "x",\n "cores"'))
    assert read_record(tmp_path) == RECORD
