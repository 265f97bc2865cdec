"""The question to the controller: who is registered, and whether all of it works."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import pytest

from clusterctl.on_node.with_ipyparallel import ask_hub


@pytest.fixture
def question(tmp_path, monkeypatch):
    """A question, with a controller that gives these lists of engines one after the other."""
    client = {"interface": "tcp://127.0.0.1", "registration": 1}
    (tmp_path / "ipcontroller-client.json").write_text(json.dumps(client))

    def question(*lists, listens=True, foreign=False, ours=(), found=((),), task="", **about):
        comes = iter(ours)
        finds = ([{"part": part, "trouble": "is deaf"} for part in parts] for parts in found)
        monkeypatch.setattr(ask_hub, "Prober", lambda _: lambda pid: {"parts": next(finds)})
        monkeypatch.setattr(ask_hub, "try_task", lambda client, engines: f"{task}{sorted(engines)}")
        monkeypatch.setattr(ask_hub, "listens", lambda word, port: next(comes, False))
        monkeypatch.setattr(ask_hub, "_AGAIN_S", 0)
        told, said = iter(lists), []
        socket, news = object(), type("News", (), {"subscribe": lambda *_: None})()
        hub = SimpleNamespace(
            socket=socket,
            open=lambda *_: news,
            send=lambda kind, content: said.append((kind, content)),
            receive=lambda: answer if "draining" in (answer := next(told)) else {"engines": answer},
        )
        poller = SimpleNamespace(register=lambda *_: None, poll=lambda _: [(socket, 1)])
        monkeypatch.setattr(ask_hub, "Hub", lambda _: hub)
        monkeypatch.setattr(ask_hub, "zmq", SimpleNamespace(Poller=lambda: poller, SUB=2, POLLIN=1))
        monkeypatch.setattr(ask_hub, "is_open", lambda _, port: foreign if port == 4711 else listens)
        values = {"wait_for": [], "wait_s": 60, "but_not": {}, "forget": [], "notebook": False, **about}
        made = ask_hub.Question({"security": str(tmp_path), **values})
        made.ask()
        return made, said

    return question


def test_the_first_answer_ends_it_where_no_engine_is_waited_for(question):
    made, _ = question({"0": "a"}, {"0": "b"})
    assert (made.answered, made.engines) == (True, {"0": "a"})


def test_it_waits_for_all_and_tells_each_number_once(question, capsys):
    made, _ = question({"0": "a"}, {"0": "a"}, {"0": "a", "2": "c"}, wait_for=[0, 2])
    assert made.engines == {"0": "a", "2": "c"}
    assert capsys.readouterr().out == "progress 1\nprogress 2\n"


def test_engines_that_are_being_replaced_do_not_count(question):
    made, _ = question({"0": "old"}, {}, {"0": "new"}, wait_for=[0], but_not={"0": "old"})
    assert made.engines == {"0": "new"}


def test_dead_ones_are_forgotten_first(question):
    _, said = question({}, forget=[7])
    assert said[0] == ("unregistration_request", {"id": 7})


def test_a_controller_that_does_not_listen_is_not_asked_unless_engines_are_waited_for(question):
    made, said = question({}, listens=False)
    assert (made.answered, said) == (False, [])
    assert question({"0": "a"}, listens=False, wait_for=[0])[0].answered


@pytest.mark.parametrize("wanted", [True, False])
def test_a_notebook_that_does_not_answer_is_late_where_it_is_waited_for(question, tmp_path, wanted):
    (tmp_path / "notebook.json").write_text('{"port": 4711}')
    made, _ = question({}, listens=False, notebook=wanted, wait_s=0)
    assert made.notebook == ({"port": 4711, "late": True, "foreign": False} if wanted else {"port": 4711})


def test_another_program_on_its_port_is_no_notebook(question, tmp_path):
    (tmp_path / "notebook.json").write_text('{"port": 4711}')
    made, _ = question({}, listens=False, notebook=True, wait_s=0, foreign=True)
    assert made.notebook["foreign"]


@pytest.mark.parametrize("ours", [[True], [False, True]], ids=["all the while", "since it was asked for"])
def test_one_that_listens_is_no_stranger_though_the_engines_took_all_the_time(question, tmp_path, ours):
    (tmp_path / "notebook.json").write_text('{"port": 4711}')
    made, _ = question({}, listens=False, notebook=True, wait_s=0, foreign=True, ours=ours)
    assert made.notebook == {"port": 4711}


def test_once_all_engines_are_there_parts_are_probed_until_they_answer_and_a_task_is_run(question):
    made, _ = question({"0": "a", "7": "b"}, wait_for=[0], found=(["hub", "task"], ["task"], []))
    assert (made.trouble, made.task) == ([], "['0']")


def test_a_part_that_stays_deaf_is_named_and_no_task_is_run(question):
    made, _ = question({"0": "a"}, wait_for=[0], wait_s=0.2, found=itertools.repeat(["task"]))
    assert (made.trouble, made.task) == (["task is deaf"], "")


def test_who_only_asks_runs_no_task(question):
    made, _ = question({"0": "a"})
    assert (made.trouble, made.task) == ([], "")


def test_files_that_are_not_whole_are_none(tmp_path):
    (tmp_path / "half.json").write_text("{")
    assert ask_hub.load(tmp_path / "half.json") == ask_hub.load(tmp_path / "none.json") == {}


def test_engines_of_a_node_that_will_be_taken_are_waited_for_no_more_and_given_no_task(question):
    made, said = question({"draining": [1, 2]}, {"0": "a", "2": "c"}, wait_for=[0, 1, 2])
    assert made.draining == [1, 2]
    assert (made.task, said[0][0]) == ("['0']", "clusterctl_drain_request")
