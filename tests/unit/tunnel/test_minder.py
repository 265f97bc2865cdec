"""Who minds a tunnel: what has ended or is frozen is made anew, and nothing else. Real: tests/e2e/test_tunnel.py."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest

from clusterctl.tunnel import holders, process
from clusterctl.tunnel.minder import Minder


@pytest.fixture
def tunnel(tmp_path, monkeypatch):
    """A tunnel that is wanted; its forwarding process is what `alive` says, and beats when told to."""

    class Tunnel:
        def __init__(self):
            self.alive, self.now, self.started, self.ended = True, 1000.0, [], []
            (tmp_path / process.TUNNEL_FILE).write_text('{"format": 1, "forwards": []}')
            self.minder = Minder(tmp_path, self.started.append)

        def beat(self):
            self.now += 3
            holders.beat(tmp_path)
            os.utime(tmp_path / holders.BEAT_FILE, (self.now, self.now))

        def look(self, count=1, *, beats):
            for _ in range(count):
                if beats:
                    self.beat()
                assert self.minder.look()
            return len(self.started)

    made = Tunnel()
    monkeypatch.setattr(holders, "holder_pid", lambda path: 7 if made.alive else None)
    monkeypatch.setattr(holders, "end_holder", made.ended.append)
    return made


def test_one_that_beats_is_left_alone(tunnel):
    assert tunnel.look(20, beats=True) == 0


def test_one_that_has_ended_is_made_anew_at_once(tunnel):
    tunnel.look(2, beats=True)
    tunnel.alive = False
    assert tunnel.look(beats=False) == 1


def test_one_that_is_frozen_is_ended_first(tunnel, tmp_path):
    assert tunnel.look(1, beats=True) == 0
    assert tunnel.look(3, beats=False) == 0
    assert tunnel.look(beats=False) == 1
    assert tunnel.ended == [tmp_path / holders.FORWARDER_FILE]


def test_a_computer_that_slept_for_hours_is_no_frozen_process(tunnel):
    """Both have slept: the first look afterwards sees an old beat, and the next ones new ones."""
    tunnel.look(5, beats=True)
    tunnel.look(1, beats=False)
    tunnel.now += 10_000
    assert tunnel.look(5, beats=True) == 0


def test_one_of_an_older_version_never_beats_and_is_left_alone(tunnel):
    assert tunnel.look(20, beats=False) == 0


def test_one_whose_description_is_damaged_waits_for_the_next_start(tunnel, tmp_path):
    (tmp_path / process.TUNNEL_FILE).write_text("{")
    tunnel.alive = False
    assert tunnel.look(3, beats=False) == 0


def test_where_no_tunnel_is_wanted_any_more_it_ends(tunnel, tmp_path):
    (tmp_path / process.TUNNEL_FILE).unlink()
    assert not tunnel.minder.look()
    assert tunnel.started == []


class TestHolders:
    def test_a_file_is_held_by_one_until_it_ends(self, tmp_path):
        path = tmp_path / "x"
        with holders.hold(path) as mine, holders.hold(path) as others:
            assert (mine, others) == (True, False)
            assert holders.holder_pid(path) == os.getpid()
        assert holders.holder_pid(path) is None

    def test_one_that_was_deleted_before_it_was_locked_is_nobodys(self, tmp_path, monkeypatch):
        path, locked = tmp_path / "x", []
        own = holders.locks.try_lock

        def try_lock(file):
            if not locked:
                path.unlink()
            locked.append(file)
            return own(file)

        monkeypatch.setattr(holders.locks, "try_lock", try_lock)
        with holders.hold(path) as mine:
            assert (mine, len(locked), path.exists()) == (True, 2, True)

    def test_one_that_is_held_is_not_deleted(self, tmp_path):
        path = tmp_path / "x"
        with holders.hold(path):
            holders.release(path)
            assert path.exists()
        holders.release(path)
        assert not path.exists()

    @pytest.mark.parametrize(("age_s", "deaf"), [(0, False), (15, False), (60, True), (-600, False)])
    def test_one_that_has_not_beaten_for_long_is_deaf(self, tmp_path, monkeypatch, age_s, deaf):
        assert not holders.is_deaf(tmp_path)
        holders.beat(tmp_path)
        beaten = holders.last_beat(tmp_path)
        now = datetime.fromtimestamp(beaten + age_s, tz=timezone.utc)
        monkeypatch.setattr(holders, "utc_now", lambda: now)
        assert holders.is_deaf(tmp_path) is deaf

    def test_one_that_does_not_end_when_it_is_told_to_is_killed(self, tmp_path, monkeypatch):
        told = []
        monkeypatch.setattr(holders, "holder_pid", lambda path: 7)
        monkeypatch.setattr(holders, "_END_S", 0)
        monkeypatch.setattr(holders, "end_process", lambda pid: told.append(("end", pid)))
        monkeypatch.setattr(holders, "kill_process", lambda pid: told.append(("kill", pid)))
        holders.end_holder(tmp_path / "x")
        assert told == [("end", 7), ("kill", 7)]
