"""Who works on a node: logins that last, and processes that compute."""

from __future__ import annotations

import json

import pytest

from clusterctl.on_node.system.ending import people
from clusterctl.on_node.system.ending.people import People
from clusterctl.on_node.system.watching.managers import Supervisord, Systemd

ME, ROOT = 1000, 0


class Machine:
    """A table of processes."""

    def __init__(self, monkeypatch):
        self.table = {}
        monkeypatch.setattr(people, "_all_processes", lambda: dict(self.table))
        self.add(1, 0, "systemd", ROOT)
        self.add(10, 1, "sshd", ROOT)

    def add(self, pid, parent, name, uid=ME, age_s=1000.0, used_s=0.0):
        self.table[pid] = people._Process(pid, parent, name, str(pid), age_s, used_s, uid)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def look(watcher, services=(), awake_s=0.0):
    return watcher.look(ME, dict(services), awake_s)


def test_a_login_is_what_a_server_has_started_and_lasts(machine):
    watcher = People("", 300.0)
    machine.add(20, 10, "sshd-session", ROOT)
    machine.add(21, 20, "sshd-session")
    assert look(watcher) == {}, "a tunnel starts nothing"
    machine.add(22, 21, "sh", age_s=3.0)
    assert look(watcher) == {}, "a question of status is over soon"
    machine.add(22, 21, "bash", age_s=11.0)
    assert look(watcher) == {"logins": "a login (bash)"}
    machine.table[22] = machine.table[22]._replace(parent=1)
    assert look(watcher) == {}, "what a login has left behind is no login"


def test_another_users_login_is_not_the_clusters(machine):
    machine.add(22, 10, "bash", uid=1001)
    assert look(People("", 300.0)) == {}


def test_a_process_that_computes_counts_once_it_has_taken_a_twentieth_of_the_window(machine):
    watcher = People("", 300.0)
    machine.add(30, 1, "sort", used_s=100.0)
    assert look(watcher, awake_s=0.0) == {}, "what it did before is not known to be recent"
    machine.add(30, 1, "sort", used_s=114.0)
    assert look(watcher, awake_s=15.0) == {}
    machine.add(30, 1, "sort", used_s=116.0)
    assert look(watcher, awake_s=30.0) == {"processes": "process 30 (sort)"}
    assert look(watcher, awake_s=299.0) == {"processes": "process 30 (sort)"}
    for awake_s in (310.0, 400.0, 700.0):
        work = look(watcher, awake_s=awake_s)
    assert work == {}


def test_what_waits_for_others_all_day_is_no_work_and_what_it_starts_may_be(machine):
    watcher = People("", 100.0)
    services = {"controller-0": 40, "notebook-0": 50, "watch-0": 60, "engine-1": 70}
    for pid in (40, 50, 60, 70):
        machine.add(pid, 1, "python")
    machine.add(41, 40, "python")
    machine.add(51, 50, "python")
    look(watcher, services.items())
    for pid, parent in ((40, 1), (41, 40), (50, 1), (60, 1)):
        machine.add(pid, parent, "python", used_s=90.0)
    assert look(watcher, services.items(), 50.0) == {}
    machine.add(51, 50, "kernel", used_s=90.0)
    assert look(watcher, services.items(), 60.0) == {"processes": "process 51 (kernel)"}
    machine.add(70, 1, "engine", used_s=95.0)
    assert look(watcher, services.items(), 70.0) == {"processes": "process 70 (engine)"}


def test_on_a_local_node_only_what_is_below_its_guardian_is_its_own(machine, tmp_path):
    (tmp_path / "pid").write_text(json.dumps({"pid": 81, "guardian": 80}))
    machine.add(80, 1, "python")
    machine.add(81, 80, "python")
    machine.add(90, 1, "browser", used_s=0.0)
    watcher = People(str(tmp_path), 100.0)
    look(watcher)
    machine.add(90, 1, "browser", used_s=90.0)
    assert look(watcher, awake_s=50.0) == {}, "the laptop's user has other things to do"
    machine.add(82, 81, "bash")
    assert look(watcher, awake_s=60.0) == {"logins": "a login (bash)"}
    (tmp_path / "pid").write_text("[]")
    assert look(watcher, awake_s=70.0) == {}


def test_a_name_of_a_process_moves_no_cursor(machine):
    machine.add(22, 10, "\x1b[2J")
    assert look(People("", 300.0)) == {"logins": "a login (?[2J)"}


def test_supervisord_stops_all_but_the_watch_and_what_has_stopped_is_left_alone(monkeypatch):
    stopped = []

    class Proxy:
        def getAllProcessInfo(self):  # noqa: N802  supervisord's name
            states = {"engine-0": "RUNNING", "engine-1": "STOPPED", "watch-0": "RUNNING", "controller-0": "BACKOFF"}
            return [
                {"name": name, "group": name.partition("-")[0], "statename": state, "pid": 1, "description": ""}
                for name, state in states.items()
            ]

        def stopProcess(self, name, wait):  # noqa: N802  supervisord's name
            assert not wait
            stopped.append(name)

    monkeypatch.setattr(Supervisord, "_ask", lambda _: Proxy())
    Supervisord("/socket", "login").stop_all(but="watch")
    assert stopped == ["engine:engine-0", "controller:controller-0"]


def test_systemd_disables_what_it_stops(monkeypatch):
    ran = []
    monkeypatch.setattr(Systemd, "states", lambda _: {"engine-0": {}, "engine-12": {}, "watch-0": {}})
    monkeypatch.setattr(
        "clusterctl.on_node.system.watching.managers.subprocess.run", lambda words, **_: ran.append(words)
    )
    Systemd().stop_all(but="watch")
    units = ["clusterctl-engine@0.service", "clusterctl-engine@12.service"]
    assert ran == [["systemctl", "--quiet", "disable", "--now", *units]]
