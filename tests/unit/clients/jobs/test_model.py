"""What a node says of a job is checked before anything is made of it."""

from __future__ import annotations

import pytest

from clusterctl.clients.jobs.model import JobOrder, JobStatus, check_id, new_id, parse_status, read_order
from clusterctl.errors import UsageError

STATUS = JobStatus("9845a3bd4", "done", ("python", "a.py"), "node001", 1, 5.0, exit=0)


def test_a_status_comes_back_as_it_was():
    assert parse_status({**STATUS.as_json(), "from_a_newer_version": 1}) == STATUS


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "../x"},
        {"state": "sleeping"},
        {"node": "node 1\n"},
        {"command": "rm"},
        {"command": [1]},
        {"cores": "1"},
        {"created": None},
        {"exit": "0"},
        {"port": "ssh"},
        {"detail": 7},
        {"fetch": [None]},
    ],
)
def test_a_status_that_makes_no_sense_is_none(wrong):
    with pytest.raises(ValueError, match="no status"):
        parse_status({**STATUS.as_json(), **wrong})


@pytest.mark.parametrize("said", [None, [], "done", {"id": "9845a3bd4"}])
def test_what_is_no_status_is_none(said):
    with pytest.raises(ValueError, match="no status"):
        parse_status(said)


def test_what_would_move_a_cursor_is_written_out():
    status = parse_status({**STATUS.as_json(), "command": ["a\x1b[2J"], "name": "\r", "detail": "x\x07"})
    assert (status.command, status.name, status.detail) == (("a\\x1b[2J",), "\\r", "x\\x07")
    assert parse_status({**STATUS.as_json(), "begun_by": "a\x1b[2J" + "b" * 999}).begun_by == "a\\x1b[2J" + "b" * 95


def test_an_order_comes_back_as_it_was():
    order = JobOrder("9845a3bd4", ("a", "b"), "master", fetch=("x",), manifest={"commit": "c"})
    assert read_order(order.as_json()) == order


@pytest.mark.parametrize("wrong", [{"id": ".."}, {"command": []}])
def test_an_order_that_makes_no_sense_is_none(wrong):
    with pytest.raises(ValueError, match="no order"):
        read_order({**JobOrder("9845a3bd4", ("a",), "master").as_json(), **wrong})


def test_ids_are_as_the_seed_has_them():
    assert len(check_id(new_id())) == 9
    with pytest.raises(UsageError):
        check_id("../../x")
