"""What nodes tell is believed as far as it makes sense."""

from __future__ import annotations

import json

import pytest

from clusterctl.operations.seeing.readings import Space, parse_load, parse_work

GB = 10**9


def line(**said):
    return json.dumps(said).encode()


def test_a_load_is_read():
    said = {"cpu": 0.5, "cores": 2, "load": 1.25, "memory": [GB, 4 * GB], "disks": [["/", GB, 9 * GB]]}
    load = parse_load(line(**said, gpus=[["T4", 0.75, GB, 16 * GB]]))
    assert (load.cpu, load.cores, load.load) == (0.5, 2, 1.25)
    assert load.memory == Space("memory", GB, 4 * GB)
    assert load.disks == (Space("/", GB, 9 * GB),)
    assert load.gpus == (Space("T4", GB, 16 * GB, 0.75),)


@pytest.mark.parametrize("cpu", [-0.1, 1.5, 1e308, "much", True, None, [], float("nan"), float("inf")])
def test_a_number_that_cannot_be_is_left_out(cpu):
    assert parse_load(line(cpu=cpu, cores=2)).cpu is None


@pytest.mark.parametrize(
    "rows",
    [None, "x", 7, {}, ["x"], [None], [[]], [["/"]], [["/", 2, 1]], [[1, 2, 3]], [["/", -1, 1]] * 100, [[[], {}, 1]]],
)
def test_rows_that_make_no_sense_are_left_out(rows):
    load = parse_load(line(memory=rows, disks=rows, gpus=rows))
    assert all(disk.used is None for disk in load.disks)
    assert load.memory is None


def test_names_obey_nobody_and_have_an_end():
    [disk] = parse_load(line(disks=[["\x1b[2J" + "x" * 10_000, 1, 2]])).disks
    assert "\x1b" not in disk.name
    assert len(disk.name) < 200


@pytest.mark.parametrize("text", [b"", b"[]", b"7", b"{", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_object_is_refused(text):
    for parse in (parse_load, parse_work):
        with pytest.raises(ValueError, match=r"."):
            parse(text)


def test_work_is_read():
    engines = {
        "0": {"tasks": 2, "client": "c", "kind": "apply_request", "seconds": 1.5},
        "1": {"tasks": 0},
        "-1": {"tasks": 1},
        "x": {},
        "2": "nothing",
        "3": {"tasks": -4, "client": 7, "seconds": "long"},
    }
    work = parse_work(line(answered=True, waiting=5, rate=2.5, engines=engines))
    assert work.answered
    assert (work.waiting, work.rate) == (5, 2.5)
    assert sorted(work.engines) == [0, 1, 3]
    assert work.engines[0].seconds == 1.5
    assert (work.engines[3].tasks, work.engines[3].client, work.engines[3].seconds) == (0, "", None)


@pytest.mark.parametrize("said", [{}, {"answered": False}, {"answered": "yes", "engines": {}}])
def test_a_controller_that_did_not_answer_has_no_engines(said):
    assert not parse_work(line(**said)).answered
