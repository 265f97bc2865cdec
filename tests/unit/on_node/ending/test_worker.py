"""What a worker does at the end: it follows its master, says who works there, and knows when its master is lost."""

from __future__ import annotations

import pytest

from clusterctl.on_node.system.ending import home_files
from clusterctl.on_node.system.ending.records import Order, Word, parse
from clusterctl.on_node.system.ending.worker import Lost, Worker


class TestWorker:
    @pytest.fixture
    def worker(self, bench):
        return Worker(bench.values, bench.manager)

    def test_it_follows_its_master_and_says_so(self, bench, worker):
        bench.say(home_files.ORDER, Order("n", lost_s=3600.0, address="192.0.2.1"))
        worker.look()
        assert bench.commands == [["systemctl", "disable", "--now", "clusterctl-lifetime.timer"]]
        assert bench.offs == []
        bench.say(home_files.ORDER, Order("end n", end=True))
        worker.look()
        word = parse(Word, home_files.look(bench.place, bench.maps)["words"]["node001"])
        assert (word.ended, len(bench.offs), bench.manager.stopped) == ("end n", 1, 1)

    def test_an_order_of_a_life_before_its_own_ends_no_new_worker(self, bench, worker):
        bench.say(home_files.ORDER, Order("end before", end=True))
        worker.look()
        assert (bench.offs, bench.manager.stopped) == ([], 0)
        bench.say(home_files.ORDER, Order("n"))
        worker.look()
        bench.say(home_files.ORDER, Order("end n", end=True))
        worker.look()
        assert len(bench.offs) == 1

    def test_services_that_start_after_an_order_was_followed_are_left_alone(self, bench):
        values = {**bench.values, "powers_off": False}
        bench.say(home_files.ORDER, Order("n"))
        worker = Worker(values, bench.manager)
        worker.look()
        bench.say(home_files.ORDER, Order("end n", end=True))
        bench.manager.trouble = OSError("deaf")
        with pytest.raises(OSError, match="deaf"):
            worker.look()
        bench.manager.trouble = None
        worker.look()
        worker.look()
        Worker(values, bench.manager).look()
        assert bench.manager.stopped == 1
        bench.say(home_files.ORDER, Order("n"))
        worker.look()
        bench.say(home_files.ORDER, Order("end again", end=True))
        worker.look()
        assert bench.manager.stopped == 2

    def test_a_container_follows_an_order_once_however_soon_it_is_started_again(self, bench):
        values = {**bench.values, "powers_off": False, "stops": True}
        bench.say(home_files.ORDER, Order("n"))
        worker = Worker(values, bench.manager)
        worker.look()
        bench.say(home_files.ORDER, Order("end n", end=True))
        worker.look()
        assert (bench.manager.stopped, len(bench.stops), bench.offs) == (1, 1, [])
        Worker(values, bench.manager).look()
        assert len(bench.stops) == 1

    @pytest.mark.parametrize("text", ["", "[]", '{"end": "yes"}', '{"end": 1}', "\0" * 100])
    def test_what_is_no_order_ends_nothing(self, bench, worker, text):
        home_files.write(bench.place, home_files.ORDER, text)
        worker.look()
        assert (bench.offs, bench.manager.stopped) == ([], 0)

    def test_it_tells_who_works_there_and_when_nobody_does(self, bench, worker):
        bench.say(home_files.ORDER, Order("n", every_s=1.0))
        bench.work = {"logins": "a login (bash)"}
        counts = set()
        for _ in range(2):
            worker.look()
            word = parse(Word, home_files.look(bench.place, bench.maps)["words"]["node001"])
            assert word.busy == "logins a login (bash)"
            counts.add(word.count)
        assert len(counts) == 2
        bench.work = {}
        worker.look()
        assert parse(Word, home_files.look(bench.place, bench.maps)["words"]["node001"]).busy == ""

    @pytest.fixture
    def lost(self, bench, worker, monkeypatch):
        """A worker that knows its master, and whether that answers."""
        bench.say(home_files.ORDER, Order("n", lost_s=3600.0, address="192.0.2.1"))
        worker.look()
        answers = {"now": False}
        monkeypatch.setattr("clusterctl.on_node.system.ending.worker.is_there", lambda _: answers["now"])
        bench.answers = answers
        return Lost(worker, bench.values, bench.manager)

    def test_it_ends_once_its_master_has_been_lost_for_an_hour(self, bench, lost):
        bench.wait(lost, 3590)
        assert bench.offs == []
        bench.wait(lost, 20)
        assert bench.offs

    def test_a_master_that_answers_once_begins_the_hour_anew(self, bench, lost):
        bench.wait(lost, 3000)
        bench.answers["now"] = True
        lost.look()
        bench.answers["now"] = False
        bench.wait(lost, 3000)
        assert bench.offs == []

    def test_it_does_not_end_while_somebodys_task_or_job_runs_there(self, bench, lost):
        bench.work = {"processes": "process 7 (sort)"}
        bench.wait(lost, 7200)
        assert bench.offs == []
        bench.work = {}
        bench.wait(lost, 20)
        assert bench.offs

    def test_where_machines_are_not_switched_off_nobody_is_missed(self, bench, worker):
        values = {**bench.values, "powers_off": False}
        bench.say(home_files.ORDER, Order("n", lost_s=3600.0, address="192.0.2.1"))
        bench.wait(Lost(worker, values, bench.manager), 7200)
        assert (bench.offs, bench.manager.stopped) == ([], 0)
