"""The watch of a node: what it makes of what probes find, and whom it leaves alone."""

from __future__ import annotations

import json
import os
import xmlrpc.client
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from clusterctl.node import watch as watch_files
from clusterctl.on_node.system import ask_services, probe_http, watch_services
from clusterctl.on_node.system.watching import judging, managers, probing, processes, succession
from clusterctl.service import Probe, Service

WELL = {"parts": [{"part": "a", "pid": 0, "trouble": ""}], "facts": {}}
DEAF = {"parts": [{"part": "a", "pid": 0, "trouble": ""}, {"part": "b", "pid": 9, "trouble": "is deaf"}], "facts": {}}
PROBE = """
def main(values):
    def probe(pid):
        if values["raises"]:
            raise RuntimeError(values["raises"])
        return {"parts": [{"part": values["part"], "pid": pid, "trouble": ""}], "facts": {"pid": pid}}
    return probe
"""


@pytest.fixture
def machine(monkeypatch):
    """Processes that never change, and a clock."""
    made = SimpleNamespace(now=100.0, cpu=0.0, stopped=[], killed=[], ssh=[], said=[])
    monkeypatch.setattr(judging, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(processes, "started", lambda pid: f"birth of {pid}")
    monkeypatch.setattr(processes, "tree", lambda pid: [pid, pid + 1])
    monkeypatch.setattr(processes, "cpu_s", lambda pids: made.cpu)
    monkeypatch.setattr(processes, "wake", lambda pids: [pid for pid in pids if pid in made.stopped])
    monkeypatch.setattr(processes, "kill", made.killed.extend)
    monkeypatch.setattr(processes, "ssh_servers", lambda: made.ssh)
    return made


class TestJudge:
    def hear(self, machine, *found, pid=7, step_s=3.0, cpu_s=0.0):
        judge = judging.Judge()
        said = []
        for each in found:
            said.append(judge.hear(pid, each))
            machine.now += step_s
            machine.cpu += cpu_s
        return said

    def test_two_failures_in_a_row_and_not_one(self, machine):
        why = "b is deaf"
        assert self.hear(machine, WELL, DEAF, WELL, DEAF, DEAF) == ["", "", "", "", why]

    def test_what_works_hard_is_given_more_time(self, machine):
        said = self.hear(machine, WELL, *[DEAF] * 22, cpu_s=2.0)
        assert [number for number, why in enumerate(said) if why] == [20]

    def test_what_is_young_and_was_never_well_may_still_be_starting(self, machine):
        assert not any(self.hear(machine, *[DEAF] * 99))
        assert any(self.hear(machine, *[DEAF] * 110))

    def test_of_many_parts_with_the_same_trouble_the_first_are_named(self):
        bad = [("a", "is deaf"), ("x", "is ill"), ("b", "is deaf"), ("c", "is deaf"), ("d", "is deaf")]
        assert judging.describe(bad) == "a, b and 2 more is deaf; x is ill"
        assert judging.describe([]) == ""

    def test_a_new_process_has_a_clean_sheet(self, machine):
        judge = judging.Judge()
        judge.hear(7, WELL)
        judge.hear(7, DEAF)
        assert judge.hear(8, DEAF) == ""


class Manager:
    def __init__(self, **pids):
        self.pids = pids

    def states(self):
        return {name.replace("_", "-"): {"pid": pid, "detail": "running"} for name, pid in self.pids.items()}

    def revive(self):
        return []


class TestWatch:
    @pytest.fixture
    def watch(self, machine, tmp_path, monkeypatch):
        finds = {}
        monkeypatch.setattr(probing.Probed, "find", lambda self, pid: finds[self.name].pop(0))

        def watch(**found):
            finds.update({name.replace("_", "-"): list(each) for name, each in found.items()})
            values = {"probes": tmp_path / "probes", "told": tmp_path / "told.json", "beat": tmp_path / "beat"}
            made = watch_services.Watch(values, Manager(**dict.fromkeys(found, 7)))
            probes = [probing.Probed(name.partition("-")[0], 0, lambda pid: WELL) for name in finds]
            monkeypatch.setattr(watch_services, "load_probes", lambda folder: probes)
            return made

        return watch

    def test_what_fails_twice_is_ended_with_all_its_children_and_word_is_left(self, watch, machine, tmp_path):
        made = watch(web_0=[WELL, DEAF, DEAF])
        for _ in range(3):
            made.look()
        assert machine.killed == [7, 8]
        told = json.loads((tmp_path / "told.json").read_text())
        assert (told["web-0"]["count"], told["web-0"]["why"]) == (1, "b is deaf")

    def test_what_was_stopped_goes_on_and_is_not_ended(self, watch, machine):
        made = watch(web_0=[WELL, DEAF, DEAF, DEAF])
        machine.stopped = [8]
        for _ in range(4):
            made.look()
        assert machine.killed == []

    def test_an_ssh_server_that_was_stopped_goes_on(self, watch, machine, capsys):
        made = watch(web_0=[WELL] * 9)
        machine.ssh = machine.stopped = [4]
        for _ in range(5):
            made.look()
        assert capsys.readouterr().out.count("the SSH server: was stopped, and goes on: 4") == 1

    def test_what_does_not_run_is_left_to_the_service_manager(self, watch, machine):
        made = watch(web_0=[])
        made._manager.pids["web_0"] = 0
        made.look()
        assert machine.killed == []

    def test_former_probes_are_closed_when_there_are_others(self, watch, tmp_path):
        made = watch(web_0=[WELL, WELL])
        made.look()
        closed = []
        for each in made._probes:
            each.probe = SimpleNamespace(close=lambda: closed.append("former"))
        (tmp_path / "probes").mkdir()
        (tmp_path / "probes" / "other.json").write_text("{}")
        made.look()
        assert closed == ["former"]


class TestProbes:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "mine.py").write_text(PROBE)
        (tmp_path / "probes").mkdir()

        def write(name, *, count=1, first=0, **values):
            probe = Probe(tmp_path / "mine.py", {"part": "page", "raises": "", **values})
            service = Service(name, ["x"], PurePosixPath("/"), count=count, first=first, probe=probe)
            (files,) = watch_files.probe_files([service]).items()
            (tmp_path / "probes" / f"{files[0]}.json").write_text(files[1])
            return tmp_path / "probes"

        return write

    def test_each_instance_is_probed_by_the_plugins_own_program(self, folder):
        loaded = probing.load_probes(folder("web", count=2, first=3, part="front"))
        assert [each.name for each in loaded] == ["web-3", "web-4"]
        assert loaded[0].find(7) == {"parts": [{"part": "front", "pid": 7, "trouble": ""}], "facts": {"pid": 7}}

    def test_two_plugins_may_call_their_modules_the_same(self, folder):
        folder("web", part="one")
        loaded = probing.load_probes(folder("other", part="two"))
        assert [each.find(1)["parts"][0]["part"] for each in loaded] == ["two", "one"]

    def test_what_a_probe_raises_is_trouble(self, folder):
        (loaded,) = probing.load_probes(folder("web", raises="no idea"))
        assert loaded.find(7)["parts"] == [{"part": "web", "pid": 0, "trouble": "no idea"}]

    def test_a_file_that_is_not_whole_keeps_none_of_the_others_from_it(self, folder, capsys):
        path = folder("web")
        (path / "cut.json").write_text('{"program": "x')
        (path / "odd.json").write_text("[]")
        assert [each.service for each in probing.load_probes(path)] == ["web"]
        assert capsys.readouterr().out.count("cannot be loaded") == 2

    def test_one_without_a_probe_has_an_empty_file(self):
        assert watch_files.probe_files([Service("x", ["x"], PurePosixPath("/"))]) == {"x": ""}


class TestAskServices:
    def ask(self, monkeypatch, capsys, tmp_path, manager, *probes):
        monkeypatch.setattr(ask_services, "find_manager", lambda values: manager)
        monkeypatch.setattr(ask_services, "load_probes", lambda folder: probes)
        ask_services.main({"probes": "/x", "told": tmp_path / "told.json", "beat": tmp_path / "beat"})
        return json.loads(capsys.readouterr().out)

    def test_it_says_what_each_probe_found_and_what_was_restarted(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "told.json").write_text('{"web-0": {"count": 2, "why": "x"}}')
        probes = [probing.Probed("web", 0, lambda pid: WELL), probing.Probed("gone", 0, lambda pid: WELL)]
        said = self.ask(monkeypatch, capsys, tmp_path, Manager(web_0=7, watch_0=8, gone_0=0), *probes)
        assert (said["manager"], said["watched"]) == ("", True)
        web, gone = said["services"]
        assert (web["parts"], web["restarts"]["count"]) == (WELL["parts"], 2)
        assert (web["trouble"], gone["trouble"]) == ("", "gone does not run")

    def test_a_watch_that_is_frozen_watches_nothing(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "beat").touch()
        assert self.ask(monkeypatch, capsys, tmp_path, Manager(watch_0=8))["watched"]
        os.utime(tmp_path / "beat", (0, 0))
        assert not self.ask(monkeypatch, capsys, tmp_path, Manager(watch_0=8))["watched"]

    def test_a_service_manager_that_is_deaf_is_said(self, monkeypatch, capsys, tmp_path):
        class Deaf(Manager):
            def states(self):
                raise TimeoutError("timed out")

        said = self.ask(monkeypatch, capsys, tmp_path, Deaf())
        assert said == {"manager": "timed out", "services": []}


class TestManagers:
    def test_supervisord_begins_again_with_what_it_has_given_up(self, monkeypatch):
        started = []
        states = {"a-0": "RUNNING", "b-0": "FATAL", "b-1": "BACKOFF", "c-0": "STOPPED", "d-0": "EXITED"}
        infos = [
            {"name": name, "group": name[0], "pid": 7, "statename": state, "description": "x"}
            for name, state in states.items()
        ]
        rpc = SimpleNamespace(getAllProcessInfo=lambda: infos, startProcess=lambda name, wait: started.append(name))
        made = managers.Supervisord("/x", "me")
        monkeypatch.setattr(made, "_ask", lambda: rpc)
        assert made.states()["b-0"] == {"pid": 7, "detail": "fatal x"}
        assert made.revive() == ["b-0", "d-0"]
        assert started == ["b:b-0", "d:d-0"]

    def test_an_answer_that_is_none_is_no_answer(self, monkeypatch):
        made = managers.Supervisord("/x", "me")
        rpc = SimpleNamespace(getAllProcessInfo=lambda: (_ for _ in ()).throw(xmlrpc.client.Fault(1, "BAD")))
        monkeypatch.setattr(made, "_ask", lambda: rpc)
        with pytest.raises(OSError, match="BAD"):
            made.states()

    def test_systemds_units_are_read(self, monkeypatch):
        said = (
            "Id=clusterctl-engine@3.service\nActiveState=active\nSubState=running\nMainPID=41\n\n"
            "Id=clusterctl-watch@0.service\nActiveState=failed\nSubState=failed\nMainPID=0\n"
        )
        monkeypatch.setattr(managers.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
        assert managers.Systemd().states() == {
            "engine-3": {"pid": 41, "detail": "active running"},
            "watch-0": {"pid": 0, "detail": "failed failed"},
        }


class TestSuccession:
    @pytest.fixture
    def parent(self, machine, monkeypatch):
        def parent(now):
            began = []
            monkeypatch.setattr(succession.os, "getppid", lambda: now)
            monkeypatch.setattr(succession.os, "getpid", lambda: 31)
            done = SimpleNamespace(returncode=0)
            monkeypatch.setattr(succession.subprocess, "run", lambda words, **_: began.append(words) or done)
            return began

        return parent

    VALUES = {"socket": "/x", "start": ["supervisord"]}
    KNOWN = {20: "birth of 20", 30: "birth of 30", 31: "birth of 31", 40: "birth of another one"}

    def test_one_that_is_stopped_goes_on(self, parent, machine):
        began = parent(10)
        machine.stopped = [10]
        succession.succeed(self.VALUES, 10, self.KNOWN)
        assert (began, machine.killed) == ([], [])

    def test_one_that_is_deaf_ends_first_and_its_services_with_it_but_not_the_watch(self, parent, machine):
        began = parent(10)
        succession.succeed(self.VALUES, 10, self.KNOWN)
        assert machine.killed == [10, 20, 21, 30]
        assert began == [["supervisord"]]

    def test_of_one_that_is_gone_only_the_services_are_left(self, parent, machine):
        began = parent(1)
        succession.succeed(self.VALUES, 10, self.KNOWN)
        assert machine.killed == [20, 21, 30]
        assert began == [["supervisord"]]


class TestHttp:
    @pytest.fixture
    def server(self, machine, monkeypatch):
        def server(*, listening=(7,), users=(1000,), status=200, error=None):
            class Connection:
                def __init__(self, *_, **__):
                    pass

                def request(self, *_):
                    if error:
                        raise error

                def getresponse(self):
                    return SimpleNamespace(status=status)

                def close(self):
                    pass

            monkeypatch.setattr(processes, "listeners", lambda port: set(listening))
            monkeypatch.setattr(processes, "listening_users", lambda port: set(users))
            monkeypatch.setattr(processes, "user_of", lambda pid: 1000)
            monkeypatch.setattr(probe_http.http.client, "HTTPConnection", Connection)
            found = probe_http.main({"part": "page", "port": 80, "path": "/"})(7)
            return found["parts"][0]["trouble"]

        return server

    @pytest.mark.parametrize("status", [200, 302, 404])
    def test_it_answers(self, server, status):
        assert server(status=status) == ""

    def test_a_child_of_it_may_listen(self, server):
        assert server(listening=(8,)) == ""

    def test_anybody_else_on_its_port_is_trouble_whatever_he_says(self, server):
        assert server(listening=(66,)) == "is not what listens on its port 80: process 66 does"

    def test_where_processes_are_hidden_the_user_tells(self, server):
        assert server(listening=()) == ""
        said = "is not what listens on its port 80: a process of user 66 does"
        assert server(listening=(), users=(66,)) == server(users=(66, 1000)) == said

    def test_one_that_hangs_or_fails(self, server):
        assert server(error=TimeoutError("timed out")) == "does not answer on port 80 (timed out)"
        assert server(status=503) == "answers with status 503"

    def test_its_port_may_be_in_a_file(self, machine, monkeypatch, tmp_path):
        (tmp_path / "x.json").write_text('{"port": 81}')
        asked = []
        monkeypatch.setattr(processes, "listeners", lambda port: asked.append(port) or {66})
        probe_http.main({"part": "page", "file": str(tmp_path / "x.json"), "path": "/"})(7)
        assert asked == [81]
