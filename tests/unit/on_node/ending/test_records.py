"""What the files of an end have is hostile until it is checked."""

from __future__ import annotations

import fcntl
import json
import os
import time

import pytest

from clusterctl.on_node.system.ending import demand, home_files
from clusterctl.on_node.system.ending.clocks import Moment
from clusterctl.on_node.system.ending.demand import Demand, Demands, parse_demand
from clusterctl.on_node.system.ending.records import (
    AWAKE,
    ENDED,
    Keep,
    Order,
    State,
    Terms,
    Word,
    dump,
    parse,
    plain,
    read,
    write,
)

HOSTILE = [
    "",
    "not JSON",
    "3",
    "[]",
    "[" * 100_000,
    '{"idle_s": "x"}',
    '{"idle_s": NaN}',
    '{"idle_s": Infinity}',
    '{"idle_s": true}',
    '{"workers": "node001"}',
    '{"notify": 3}',
    '{"lasts": "yes"}',
]


@pytest.mark.parametrize(
    "record", [Terms(idle_s=3.0, workers=("node001",)), State(why="x"), Keep("a", 2.0), Order("i", end=True)]
)
def test_what_is_written_is_read(record, tmp_path):
    write(tmp_path / "folder" / "file.json", record)
    assert read(type(record), tmp_path / "folder" / "file.json") == record


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_as_agreed_is_not_there(text, tmp_path):
    assert parse(Terms, text) is None
    (tmp_path / "file").write_text(text)
    assert read(Terms, tmp_path / "file") is None
    assert read(Terms, tmp_path / "none") is None


def test_a_later_versions_field_is_left_out_and_an_unknown_phase_is_awake():
    assert parse(Keep, '{"id": "a", "seconds": 1e300, "more": []}') == Keep("a", 400 * 86_400)
    assert parse(State, '{"phase": "exploded"}') == State(phase=AWAKE)


def test_a_texts_escapes_are_gone():
    assert plain("\x1b[2Jhello\n" + "x" * 1000).startswith("?[2Jhello?x")
    assert len(plain("x" * 1000)) == 300


def test_status_is_told_how_long_ago_that_was():
    state = State(boot="b", awake_s=10.0, up_s=10.0, idle_s=5.0, due_s=100.0, kept_s=30.0)
    said = state.told(Moment("b", 20.0, 25.0))
    assert (said["idle_s"], said["ends_in_s"], said["kept_s"]) == (15.0, 85.0, 15.0)
    assert State(phase=ENDED, due_s=3.0).told(Moment("", 0.0, 0.0))["ends_in_s"] is None


class TestHome:
    def test_all_that_others_say_is_read(self, tmp_path):
        home_files.write(tmp_path, home_files.KEEP, dump(Keep("a", 2.0)))
        home_files.write(tmp_path, f"{home_files.WORDS}/node001.json", dump(Word("logins a login")))
        content = home_files.look(tmp_path, tmp_path / "state" / "maps")
        assert parse(Keep, content["keep"]) == Keep("a", 2.0)
        assert parse(Word, content["words"]["node001"]) == Word("logins a login")
        home_files.write(tmp_path, home_files.KEEP, "")
        assert home_files.look(tmp_path, tmp_path / "state" / "maps")["keep"] == ""

    def test_an_empty_home_is_one_too(self, tmp_path):
        content = home_files.look(tmp_path / "none", tmp_path / "state" / "maps")
        assert (content["held"], content["demand"], content["order"]) == ([], {}, "")

    def test_a_lock_that_is_held_is_a_job_or_a_map(self, tmp_path):
        for name in ("jobs/1", "state/maps/sweep", "jobs/over"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "lock").write_text("4711")
        with (tmp_path / "jobs/1/lock").open() as job, (tmp_path / "state/maps/sweep/lock").open() as sweep:
            fcntl.flock(job, fcntl.LOCK_EX)
            fcntl.flock(sweep, fcntl.LOCK_SH)
            assert home_files.look(tmp_path, tmp_path / "state" / "maps")["held"] == ["jobs/1"], (
                "a lock that others may share is no proof"
            )
            fcntl.flock(sweep, fcntl.LOCK_EX)
            assert sorted(home_files.look(tmp_path, tmp_path / "state" / "maps")["held"]) == ["jobs/1", "maps/sweep"]
        assert home_files.look(tmp_path, tmp_path / "state" / "maps")["held"] == []

    def test_pipes_links_and_folders_in_the_place_of_files_hang_nobody(self, tmp_path):
        own = tmp_path / home_files.FOLDER
        (own / "order.json").mkdir(parents=True)
        os.mkfifo(own / "keep.json")
        (own / "beat.json").symlink_to("/etc/passwd")
        (tmp_path / "jobs" / "1").mkdir(parents=True)
        os.mkfifo(tmp_path / "jobs" / "1" / "lock")
        content = home_files.look(tmp_path, tmp_path / "state" / "maps")
        assert (content["order"], content["keep"], content["beat"], content["held"]) == ("", "", "", [])

    def test_what_is_large_is_cut(self, tmp_path):
        (tmp_path / "demand").mkdir()
        (tmp_path / "demand" / "large.json").write_text("x" * 10**6)
        assert len(home_files.look(tmp_path, tmp_path / "state" / "maps")["demand"]["large"]) == 1 << 16


class TestDemand:
    WANTED = {"items": 5, "item_s": 2.5, "engines": 4, "until": 1e9}

    def test_it_is_typed(self):
        assert parse_demand(json.dumps(self.WANTED)) == Demand(5, 2.5, 4, 1e9)
        assert parse_demand('{"items": 1, "until": 0}') == Demand(1, 0.0, 0, 0.0)

    @pytest.mark.parametrize(
        "text",
        [
            *("", "3", "[" * 100_000, "{}", '{"items": 5}', '{"until": 3}', '{"items": 0, "until": 3}'),
            *('{"items": true, "until": 3}', '{"items": -1, "until": 3}', '{"items": NaN, "until": 3}'),
            *('{"items": 1e300, "until": 3}', '{"items": "5", "until": 3}', '{"items": 5, "until": null}'),
        ],
    )
    def test_what_is_hostile_is_none(self, text):
        assert parse_demand(text) is None

    def test_it_is_in_date_until_it_says_or_as_long_as_it_changes(self, monkeypatch):
        now = {"wall": 1000.0, "awake": 50_000.0}
        monkeypatch.setattr(demand.time, "time", lambda: now["wall"])
        monkeypatch.setattr(demand.time, "monotonic", lambda: now["awake"])
        demands = Demands()
        texts = {
            "lasts": json.dumps({**self.WANTED, "until": 2000.0}),
            "old": json.dumps({**self.WANTED, "until": 10.0}),
        }
        assert set(demands.in_date(texts)) == {"lasts"}
        # The client's clock is wrong by a day, but it lives: it writes its file again and again.
        texts["behind"] = json.dumps({**self.WANTED, "until": 20.0})
        assert set(demands.in_date(texts)) == {"lasts", "behind"}
        now["awake"] += 301
        assert set(demands.in_date(texts)) == {"lasts"}
        texts["behind"] = json.dumps({**self.WANTED, "until": 21.0})
        assert set(demands.in_date(texts)) == {"lasts", "behind"}
        now["wall"] = 2001.0
        now["awake"] += 301
        assert demands.in_date(texts) == {}
        del texts["lasts"]
        assert demands.in_date({}) == {}

    def test_no_client_keeps_a_cluster_for_ever_by_one_file(self, monkeypatch):
        start = time.monotonic()
        monkeypatch.setattr(demand.time, "monotonic", lambda: start)
        demands = Demands()
        texts = {"far": json.dumps({**self.WANTED, "until": 1e12})}
        assert demands.in_date(texts)
        monkeypatch.setattr(demand.time, "monotonic", lambda: start + 86_401)
        assert demands.in_date(texts) == {}
