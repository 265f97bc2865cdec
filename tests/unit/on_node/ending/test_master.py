"""What a master does to end its cluster, on good days and bad ones."""

from __future__ import annotations

import fcntl
import json

import pytest
from clusterctl_plugins import spot

from clusterctl.on_node.system.ending import acting, home_files, programs
from clusterctl.on_node.system.ending import ending as module
from clusterctl.on_node.system.ending.ending import Master
from clusterctl.on_node.system.ending.records import (
    AWAKE,
    ENDED,
    ENDING,
    Keep,
    Order,
    Terms,
    Word,
)

TERMS = Terms(nonce="n", life="m", cluster="lab", idle_s=100.0)


def test_without_terms_nothing_is_written_and_nothing_ends(bench):
    Master(bench.values, bench.manager).look()
    assert bench.state is None
    assert not bench.place.exists()


def test_services_stop_where_machines_stay_and_machines_are_switched_off_where_they_do_not(bench):
    bench.wait(bench.master(TERMS), 110)
    assert (bench.state.phase, bench.manager.stopped, bench.offs) == (ENDED, 1, [])
    bench.wait(bench.master(Terms(**{**vars(TERMS), "nonce": "another", "powers_off": True})), 110)
    assert (bench.manager.stopped, len(bench.offs)) == (2, 1)


def test_a_container_stops_itself_once_and_what_is_started_after_that_runs(bench):
    terms = Terms(**{**vars(TERMS), "stops": True})
    bench.wait(bench.master(terms), 110)
    assert (bench.state.phase, bench.manager.stopped, len(bench.stops), bench.offs) == (ENDED, 1, 1, [])
    bench.wait(Master(bench.values, bench.manager), 200)
    assert len(bench.stops) == 1
    bench.wait(bench.master(Terms(**{**vars(terms), "nonce": "another"})), 110)
    assert len(bench.stops) == 2


def test_a_container_whose_service_manager_is_deaf_stops_all_the_same(bench):
    bench.manager.trouble = OSError("deaf")
    bench.wait(bench.master(Terms(**{**vars(TERMS), "stops": True})), 110)
    assert (bench.state.phase, len(bench.stops)) == (ENDED, 1)


def test_a_container_that_cannot_stop_itself_tries_again(bench):
    bench.off_trouble = "no such process"
    master = bench.master(Terms(**{**vars(TERMS), "stops": True}))
    bench.wait(master, 110)
    assert bench.state.phase == ENDING
    bench.off_trouble = ""
    master.look()
    assert bench.state.phase == ENDED


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


def program(text):
    """A plugin's program that says who works."""
    code = f"class program:\n    def main(values):\n        def ask():\n            {text}\n        return ask\n"
    return {"cause": "page", "program": code, "values": {}}


def test_a_program_that_knows_the_nodes_is_work_of_the_cluster_and_of_these_nodes(bench, capsys):
    busy = program("return {'node001': '2 tasks', '': '3 tasks', 'node002': ''}")
    assert bench.master(Terms(**{**vars(TERMS), "programs": (busy,)}))._state.busy == "2 tasks on node001; 3 tasks"
    everybody = [busy, program("return {'node001': 'a reader'}"), program("return 7"), program("raise OSError")]
    programs.main({"programs": everybody})
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"nodes": {"node001": "2 tasks; a reader"}, "silent": ["page"]}


def test_a_program_of_a_plugin_is_asked_and_one_that_fails_counts_for_an_hour(bench):
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


class TestHappenings:
    @pytest.fixture
    def told(self, bench, monkeypatch):
        told = []
        monkeypatch.setattr(
            module.telling, "notify", lambda _home, _terms, event, text, **_: told.append((event, text))
        )
        return told

    def test_the_end_of_a_job_and_of_a_detached_map_is_told_once(self, bench, told):
        places = [bench.place / "jobs" / "7", bench.maps / "sweep"]
        locks = []
        for place in places:
            place.mkdir(parents=True)
            locks.append((place / "lock").open("w"))
            fcntl.flock(locks[-1], fcntl.LOCK_EX)
        master = bench.master(TERMS)
        for lock in locks:
            lock.close()
        bench.wait(master, 20)
        assert told == [("done", "the job 7 has ended"), ("done", "the detached map sweep has ended")]

    def test_a_node_that_will_be_taken_is_told_once_and_a_hint_or_an_old_notice_never(self, bench, told):
        folder = bench.place / "interruptions"
        folder.mkdir(parents=True)
        (folder / "i-0old").touch()
        master = bench.master(TERMS)
        for name in ("i-0new", f"i-0may{spot._HINT}", ".i-0new.new", "i-\x1b[2J"):
            (folder / name).touch()
        bench.wait(master, 20)
        taken = ["i-?[2J", "i-0new"]
        assert told == [("interrupted", f"the machine {name} will be taken") for name in taken]

    def test_a_home_that_cannot_be_read_for_a_while_has_nothing_end(self, bench, told, monkeypatch):
        job = bench.place / "jobs" / "7"
        job.mkdir(parents=True)
        with (job / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            master = bench.master(TERMS)
            with monkeypatch.context() as patch:
                patch.setattr(module.Home, "look", lambda *_: {})
                bench.wait(master, 10)
            bench.wait(master, 10)
        assert told == []
