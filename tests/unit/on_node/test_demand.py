"""Demand, from a client's word to the hub to the file that all who judge read."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from clusterctl.clients.serve_detached import Service
from clusterctl.on_node.system.ending import ask_demand, ask_people
from clusterctl.on_node.system.ending.demand import Demand, in_date_at, parse_demand
from clusterctl.on_node.with_ipyparallel import ask_load
from clusterctl.on_node.with_ipyparallel.records.demand_files import DemandFiles, as_text

SAID = {"items": 1000, "item_s": 2.0, "engines": 6, "for_s": 30.0}


class TestFiles:
    @pytest.fixture
    def put(self, tmp_path):
        """Says something, and returns the files that are there then."""
        files = DemandFiles(tmp_path / ".clusterctl" / "demand")

        def put(said, client="0f-a1"):
            files.put(client, said)
            writer = files._writer
            if writer is not None:
                writer.join(10)
            return {path.name: path.read_text() for path in files._folder.glob("*")}

        return put

    def test_what_the_hub_writes_is_what_is_read(self, put):
        ((name, text),) = put(SAID).items()
        demand = parse_demand(text)
        assert name == "client-0f-a1.json"
        assert (demand.items, demand.item_s, demand.engines) == (1000, 2.0, 6)
        assert 0 < demand.until - time.time() <= 30
        assert in_date_at({name: text}, time.time()) == {name: demand}
        assert in_date_at({name: text}, time.time() + 31) == {}

    def test_who_has_nothing_left_has_no_file(self, put):
        put(SAID)
        assert put({**SAID, "items": 0}) == {}

    @pytest.mark.parametrize("client", ["../../x", "", "a" * 65, "a\n"])
    def test_no_name_leads_elsewhere(self, put, client):
        with pytest.raises(ValueError, match="no name"):
            put(SAID, client)

    @pytest.mark.parametrize("said", [{}, {**SAID, "items": "7"}, {**SAID, "item_s": math.nan}, {**SAID, "for_s": -1}])
    def test_what_is_no_number_is_refused(self, said):
        with pytest.raises(ValueError, match="no number"):
            as_text(said)

    def test_what_killed_clients_have_left_is_swept(self, put, tmp_path):
        put(SAID, "old")
        old = tmp_path / ".clusterctl" / "demand" / "client-old.json"
        os.utime(old, (1, 1))
        assert list(put(SAID, "new")) == ["client-new.json"]

    def test_the_hub_knows_without_a_file_what_waits_and_for_how_long_it_does(self, tmp_path, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        files = DemandFiles(tmp_path / "file" / "demand")
        files.put("a", {**SAID, "rate": 1.5})
        files.put("b", SAID)
        files.put("b", {**SAID, "items": 7, "rate": 2.0})
        assert files.sums() == {"clients": 2, "items": 1007, "rate": 3.5}
        now[0] += 20
        files.put("a", {**SAID, "items": 5})
        now[0] += 11
        assert files.sums() == {"clients": 1, "items": 5, "rate": 0.0}
        files.put("a", {**SAID, "items": 0})
        assert files.sums() == {"clients": 0, "items": 0, "rate": 0}

    def test_a_disk_that_is_full_is_survived(self, tmp_path, capfd):
        (tmp_path / "file").write_text("")
        files = DemandFiles(tmp_path / "file" / "demand")
        files.put("a", SAID)
        if files._writer is not None:
            files._writer.join(10)
        assert "cannot be written" in capfd.readouterr().out


def test_a_file_that_holds_for_years_holds_for_nobody_who_has_not_seen_it_change():
    text = json.dumps({"items": 1, "until": 5e9})
    assert in_date_at({"a": text, "b": "{", "c": json.dumps({"items": 1, "until": 100.0})}, 50.0) == {
        "c": Demand(1, 0.0, 0, 100.0)
    }


def test_the_question_for_demand_tells_the_numbers_alone(tmp_path, capsys):
    folder = tmp_path / ".clusterctl" / "demand"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps({"items": 5, "until": time.time() + 60, "more": "\x1b[2J"}))
    (folder / "b.json").symlink_to("/etc/hostname")
    ask_demand.main({"home": str(tmp_path)})
    assert json.loads(capsys.readouterr().out) == [[5, 0.0, 0]]


def test_queues_are_counted_for_each_engine():
    said = {"status": "ok", "unassigned": 3, "0": {"queue": 1, "tasks": 2, "completed": 9}, "1": {"queue": 0}}
    assert ask_load.read_queues(said) == {"engines": {"0": [3, 9], "1": [0, 0]}, "unassigned": 3}


class TestDrainLapses:
    @pytest.fixture
    def hub(self):
        made = SimpleNamespace(draining={0: "a", 1: "b"}, notifier="to all", sent=[])
        made.session = SimpleNamespace(send=lambda *to, content: made.sent.append(content["clusterctl_draining"]))
        return made

    def lapse(self, hub, lapsing):
        from clusterctl.on_node.with_ipyparallel.patches.hub import Hub  # late: half a second

        Hub.give_work_again(hub, lapsing)
        return hub.sent

    def test_engines_are_given_work_again(self, hub):
        assert self.lapse(hub, {1: "b"}) == [["a"]]

    def test_those_that_are_others_by_now_are_left_alone(self, hub):
        assert self.lapse(hub, {1: "earlier", 7: "gone"}) == []


class TestListeners:
    def answer(self, seconds):
        """What a client hears that says what waits, so long after somebody has looked who adds nodes."""
        from clusterctl.on_node.with_ipyparallel.patches.hub import Hub  # late: half a second

        sent, message = [], {"header": {"session": "a"}, "content": {}}
        send = lambda socket, kind, content, **_: sent.append(content["grows"])  # noqa: E731
        hub = SimpleNamespace(
            session=SimpleNamespace(send=send), query="to one", demand_files=SimpleNamespace(put=lambda *_: None)
        )
        hub.listened_s = Hub.listened_s
        if seconds is not None:
            Hub.note_listener(hub, [], message)
            hub.listened_s -= seconds
        Hub.note_demand(hub, [], message)
        return sent[-1]

    @pytest.mark.parametrize(("seconds", "grows"), [(None, False), (0, True), (80, True), (100, False)])
    def test_a_client_hears_whether_somebody_adds_nodes(self, monkeypatch, seconds, grows):
        monkeypatch.setattr(time, "monotonic", lambda: 5.0)  # a master that has just booted
        assert self.answer(seconds) is grows

    @pytest.mark.parametrize("status", ["ok", "error"])
    def test_the_question_says_so_to_a_controller_of_any_version(self, monkeypatch, status):
        sent = []

        class Hub:
            def __init__(self, connection):
                self.socket = SimpleNamespace(poll=lambda _: True)

            def send(self, kind, content):
                sent.append(kind)

            def receive(self):
                return {"status": status} if len(sent) == 1 else {"status": "ok", "unassigned": 0}

            def close(self):
                pass

        monkeypatch.setattr(ask_load, "Hub", Hub)
        monkeypatch.setattr(ask_load, "load", lambda path: {"interface": "tcp://127.0.0.1", "registration": 1})
        monkeypatch.setattr(ask_load, "is_open", lambda *_: True)
        values = {"security": "/s", "drain": [], "give_back": [], "for_s": 1, "wait_s": 1}
        assert ask_load.ask(values)["answered"]
        assert sent == ["clusterctl_demand_listener", "queue_request"]


class TestPeople:
    def test_the_question_itself_is_no_work(self):
        assert {os.getpid(), os.getppid()} <= ask_people.own_chain() | {1}

    def test_a_job_is_known_by_the_process_that_sees_to_it(self, allow_subprocess):
        program = "import sys; print(flush=True); sys.stdin.read()"
        words = [sys.executable, "-c", program, "-m", "clusterctl.clients.run_job"]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        try:
            assert ask_people.find_jobs({os.getpid(), 2**22 + 1, process.pid}) == ["a job"]
        finally:
            process.communicate()
        assert ask_people.find_jobs({os.getpid()}) == []


def test_who_looks_is_told_what_clients_have_done_of_late(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".clusterctl" / "demand"
    folder.mkdir(parents=True)
    (folder / "client-a.json").write_text(as_text({**SAID, "rate": 12.5}))
    (folder / "client-b.json").write_text(as_text(SAID))
    (folder / "damaged.json").write_text("{")
    said, _ = Service(None, io.BytesIO(b'{"do": "clients"}\n')).answer()
    assert said["said"] == [["client-a", 1000, 12.5], ["client-b", 1000, 0.0]]
