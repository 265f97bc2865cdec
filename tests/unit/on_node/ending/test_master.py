"""What a master does to end its cluster, on good days and bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusterctl.on_node.system.ending import acting, clocks, home_files
from clusterctl.on_node.system.ending import ending as module
from clusterctl.on_node.system.ending.clocks import Moment
from clusterctl.on_node.system.ending.ending import Master
from clusterctl.on_node.system.ending.records import (
    AWAKE,
    ENDED,
    ENDING,
    Keep,
    Order,
    State,
    Terms,
    Word,
    dump,
    parse,
    read,
    write,
)
from clusterctl.on_node.system.ending.worker import Lost, Worker

TERMS = Terms(nonce="n", life="m", cluster="lab", idle_s=100.0)


class Manager:
    """A service manager that remembers what was stopped."""

    def __init__(self):
        self.stopped = 0
        self.trouble = None

    def states(self):
        return {}

    def stop_all(self, but):
        assert but == "watch"
        if self.trouble:
            raise self.trouble
        self.stopped += 1


class Bench:
    """A node whose clock, people and power are the test's."""

    def __init__(self, folder, monkeypatch):
        self.home = folder / "home"
        self.home.mkdir()
        self.place = self.home / ".clusterctl"
        self.values = {
            "terms": str(folder / "terms.json"),
            "decision": str(folder / "decision.json"),
            "home": str(self.home),
            "root": str(folder),
            "alias": "node001",
            "powers_off": True,
        }
        self.manager = Manager()
        self.up_s = 10_000.0
        self.offs = []
        self.commands = []
        self.work = {}
        self.off_trouble = ""
        monkeypatch.setattr(clocks, "now", lambda: Moment("boot", self.up_s, self.up_s))
        monkeypatch.setattr(module.People, "look", lambda *_: dict(self.work))
        monkeypatch.setattr(acting, "power_off", lambda: self.offs.append(self.up_s) or self.off_trouble)
        monkeypatch.setattr(acting, "run_command", lambda words: self.commands.append(words) or "")

    def master(self, terms):
        write(self.terms_file, terms)
        master = Master(self.values, self.manager)
        master.look()
        return master

    @property
    def terms_file(self):
        return Path(self.values["terms"])

    @property
    def state(self):
        return read(State, Path(self.values["decision"]))

    def wait(self, role, seconds):
        while seconds > 0:
            self.up_s += 10
            seconds -= 10
            role.look()

    def order(self):
        return parse(Order, home_files.look(self.place)["order"])

    def say(self, name, record):
        home_files.write(self.place, name, dump(record))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def test_without_terms_nothing_is_written_and_nothing_ends(bench):
    Master(bench.values, bench.manager).look()
    assert bench.state is None
    assert not bench.place.exists()


def test_services_stop_where_machines_stay_and_machines_are_switched_off_where_they_do_not(bench):
    bench.wait(bench.master(TERMS), 110)
    assert (bench.state.phase, bench.manager.stopped, bench.offs) == (ENDED, 1, [])
    bench.wait(bench.master(Terms(**{**vars(TERMS), "nonce": "another", "powers_off": True})), 110)
    assert (bench.manager.stopped, len(bench.offs)) == (2, 1)


def test_workers_are_told_first_and_waited_for(bench):
    master = bench.master(Terms(**{**vars(TERMS), "workers": ("node001",), "powers_off": True}))
    assert bench.order() == Order("n", every_s=10.0)
    bench.wait(master, 110)
    assert (bench.state.phase, bench.order().end, bench.offs) == (ENDING, True, [])
    bench.say(f"{home_files.WORDS}/node001.json", Word(ended=bench.order().id))
    master.look()
    assert (bench.state.phase, len(bench.offs)) == (ENDED, 1)


def test_workers_have_time_to_hear_of_their_master_before_they_are_told_to_end(bench):
    master = bench.master(Terms(**{**vars(TERMS), "idle_s": 5.0, "workers": ("node001",)}))
    bench.wait(master, 10)
    assert not bench.order().end
    bench.wait(master, 20)
    assert bench.order().end


def test_a_worker_that_cannot_be_reached_holds_nobody_up_for_ever(bench):
    master = bench.master(Terms(**{**vars(TERMS), "workers": ("node001",), "powers_off": True}))
    bench.wait(master, 180)
    assert (bench.state.phase, len(bench.offs)) == (ENDED, 1)


@pytest.mark.parametrize("way", ["keep", "work"])
def test_who_comes_back_while_it_ends_finds_the_master_and_workers_that_have_not_gone(bench, way):
    master = bench.master(Terms(**{**vars(TERMS), "workers": ("node001",), "powers_off": True}))
    bench.wait(master, 110)
    assert bench.order().end
    if way == "keep":
        bench.say(home_files.KEEP, Keep("wish", 7200.0))
    else:
        bench.work = {"logins": "a login (bash)"}
    bench.wait(master, 20)
    assert (bench.state.phase, bench.order().end, bench.offs) == (AWAKE, False, [])


def test_a_worker_that_works_keeps_the_cluster_up_as_long_as_it_says_so(bench):
    master = bench.master(Terms(**{**vars(TERMS), "workers": ("node001",)}))
    for count in range(30):
        bench.say(f"{home_files.WORDS}/node001.json", Word("processes process 7 (sort)", count))
        bench.wait(master, 10)
    assert (bench.state.phase, bench.state.busy) == (AWAKE, "process 7 (sort) on node001")
    bench.wait(master, 330)
    assert bench.state.phase == ENDED


def test_what_is_ignored_is_no_work_on_any_node(bench):
    bench.work = {"logins": "a login (bash)"}
    bench.say(f"{home_files.WORDS}/node001.json", Word("processes process 7 (sort)", 1))
    ignored = ("logins", "processes")
    bench.wait(bench.master(Terms(**{**vars(TERMS), "workers": ("node001",), "ignored": ignored})), 110)
    assert bench.order().ignored == ignored
    bench.wait(bench.master(Terms(**{**vars(TERMS), "ignored": ignored})), 110)
    assert bench.state.phase == ENDED


def test_a_program_of_a_plugin_is_asked_and_one_that_fails_counts_for_an_hour(bench):
    def program(text):
        code = f"class program:\n    def main(values):\n        def ask():\n            {text}\n        return ask\n"
        return {"cause": "page", "program": code, "values": {}}

    busy, broken = program("return 'two readers'"), program("raise OSError('no page')")
    assert bench.master(Terms(**{**vars(TERMS), "programs": (busy,)}))._state.busy == "two readers"
    assert bench.master(Terms(**{**vars(TERMS), "programs": (busy,), "ignored": ("page",)}))._state.busy == ""
    master = bench.master(Terms(**{**vars(TERMS), "programs": (broken, {"no": "program"}, "x")}))
    assert master._state.busy == "nobody can say (page)"
    bench.wait(master, 3590)
    assert bench.state.phase == AWAKE
    bench.wait(master, 130)
    assert bench.state.phase == ENDED


class TestDisk:
    def test_a_full_disk_ends_it_all_the_same(self, bench, monkeypatch):
        master = bench.master(Terms(**{**vars(TERMS), "powers_off": True}))

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "write", full)
        monkeypatch.setattr(home_files, "write", full)
        bench.wait(master, 110)
        assert len(bench.offs) == 1

    def test_a_decision_that_is_damaged_begins_the_wait_anew(self, bench):
        bench.wait(bench.master(TERMS), 40)
        (bench.terms_file.parent / "decision.json").write_text('{"phase": ')
        bench.wait(bench.master(TERMS), 40)
        assert bench.state.phase == AWAKE

    def test_a_watch_that_is_followed_by_another_one_goes_on_with_the_wait(self, bench):
        bench.wait(bench.master(TERMS), 60)
        bench.wait(bench.master(TERMS), 50)
        assert bench.state.phase == ENDED


def test_a_master_killed_in_the_middle_of_the_end_goes_on_with_it(bench):
    terms = Terms(**{**vars(TERMS), "workers": ("node001",), "powers_off": True})
    bench.wait(bench.master(terms), 110)
    assert bench.state.phase == ENDING
    master = bench.master(terms)
    bench.wait(master, 20)
    assert bench.order().end
    bench.wait(master, 70)
    assert len(bench.offs) == 1


def test_what_does_not_stop_is_tried_again(bench):
    bench.manager.trouble = OSError("deaf")
    master = bench.master(TERMS)
    bench.wait(master, 130)
    assert (bench.state.phase, bench.manager.stopped) == (ENDING, 0)
    bench.manager.trouble = None
    bench.wait(master, 10)
    assert bench.manager.stopped == 1
    bench.off_trouble = "no rights"
    master = bench.master(Terms(**{**vars(TERMS), "nonce": "another", "powers_off": True}))
    bench.wait(master, 130)
    assert len(bench.offs) > 1


class TestOnEnd:
    def test_it_has_run_before_anybody_is_told_to_end(self, bench, allow_subprocess):
        terms = Terms(**{**vars(TERMS), "on_end": 'echo "$HOME" > saved', "workers": ("node001",)})
        master = bench.master(terms)
        bench.wait(master, 100)
        assert (bench.home / "saved").read_text() == f"{bench.home}\n"
        assert not bench.order().end
        bench.wait(master, 10)
        assert bench.order().end

    @pytest.mark.parametrize(("command", "limit_s"), [("exit 3", 60.0), ("sleep 60 & wait", 0.2)])
    def test_one_that_fails_is_tried_three_times_and_then_given_up(self, bench, allow_subprocess, command, limit_s):
        told = bench.home / "told"
        notify = f'echo "$CLUSTERCTL_EVENT" >> {told}'
        terms = Terms(**{**vars(TERMS), "on_end": command, "on_end_s": limit_s, "powers_off": True, "notify": notify})
        master = bench.master(terms)
        bench.wait(master, 110)
        assert (bench.state.tries, bench.offs) == (1 if limit_s > 1 else 2, [])
        bench.wait(master, 200)
        assert (bench.state.tries, len(bench.offs)) == (3, 1)
        assert {"failed", "ended"} <= {*told.read_text().split()}

    def test_one_that_takes_long_is_no_time_in_which_nobody_looked(self, bench, monkeypatch):
        ran = []

        def run_long(*_):
            ran.append(bench.up_s)
            bench.up_s += 500
            return ""

        monkeypatch.setattr(acting, "run_last", run_long)
        master = bench.master(Terms(**{**vars(TERMS), "on_end": "save", "on_end_s": 600.0}))
        bench.wait(master, 130)
        assert (bench.state.phase, len(ran)) == (ENDED, 1)
        bench.wait(bench.master(Terms(**{**vars(TERMS), "nonce": "another", "on_end": "save"})), 130)
        assert (bench.state.phase, len(ran)) == (ENDED, 2), "the next life's end has it run again"

    def test_who_works_again_has_it_run_again(self, bench, allow_subprocess):
        master = bench.master(Terms(**{**vars(TERMS), "on_end": "echo x >> saved", "workers": ("node001",)}))
        bench.wait(master, 100)
        bench.work = {"logins": "a login (bash)"}
        bench.wait(master, 10)
        bench.work = {}
        bench.wait(master, 120)
        assert (bench.home / "saved").read_text() == "x\nx\n"


class TestNotify:
    def test_a_command_is_told_by_variables_and_no_word_of_it_is_in_the_log(self, bench, allow_subprocess, capfd):
        notify = 'echo "$CLUSTERCTL_CLUSTER $CLUSTERCTL_EVENT" >> told; : secret'
        bench.wait(bench.master(Terms(**{**vars(TERMS), "notify": notify})), 110)
        assert "lab ended" in (bench.home / "told").read_text()
        assert "secret" not in capfd.readouterr().out

    def test_a_web_hook_is_told_in_json_and_one_that_fails_ends_nothing(self, bench, monkeypatch, capfd):
        sent = []

        def post(request, timeout):
            sent.append(json.loads(request.data))
            raise OSError("https://hooks.example.org/secret cannot be reached")

        monkeypatch.setattr(module.telling.urllib.request, "urlopen", post)
        bench.wait(bench.master(Terms(**{**vars(TERMS), "notify": "https://hooks.example.org/secret"})), 110)
        assert bench.state.phase == ENDED
        assert {each["event"] for each in sent} >= {"warned", "ending", "ended"}
        assert {each["cluster"] for each in sent} == {"lab"}
        assert "secret" not in capfd.readouterr().out

    def test_notebooks_are_warned_as_long_as_the_end_is_near(self, bench):
        master = bench.master(TERMS)
        bench.wait(master, 70)
        warning = bench.place / home_files.FOLDER / home_files.WARNING
        assert "`clusterctl keep lab 2h` keeps it" in warning.read_text()
        bench.say(home_files.KEEP, Keep("wish", 7200.0))
        bench.wait(master, 10)
        assert not warning.exists()


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
        word = parse(Word, home_files.look(bench.place)["words"]["node001"])
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
            word = parse(Word, home_files.look(bench.place)["words"]["node001"])
            assert word.busy == "logins a login (bash)"
            counts.add(word.count)
        assert len(counts) == 2
        bench.work = {}
        worker.look()
        assert parse(Word, home_files.look(bench.place)["words"]["node001"]).busy == ""

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
