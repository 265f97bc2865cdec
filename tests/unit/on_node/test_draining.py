"""Engines whose node will be taken are given nothing new: what the hub tells, and what a task scheduler makes of it."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from clusterctl.on_node.with_ipyparallel import drain_engines, start_engine
from clusterctl.on_node.with_ipyparallel.agreed import drains
from clusterctl.on_node.with_ipyparallel.patches import draining


class TestScheduler:
    @pytest.fixture
    def scheduler(self):
        """One with three engines, of which the second one is at work; it notes when it looks through its queue."""
        made = SimpleNamespace(targets=[b"a", b"b", b"c"], loads=[0, 1, 0], looks=[])
        made.update_graph = made.looks.append
        return made

    def room(self, scheduler):
        return [uuid for uuid, load in zip(scheduler.targets, scheduler.loads, strict=True) if load < 1]

    def test_they_have_no_room_whether_they_are_at_work_or_not(self, scheduler):
        draining.fill_up(scheduler, {b"a", b"b"})
        assert self.room(scheduler) == [b"c"]
        scheduler.loads[1] -= 1  # what it was at is done
        assert self.room(scheduler) == [b"c"]

    def test_to_be_told_again_changes_nothing(self, scheduler):
        draining.fill_up(scheduler, {b"a", b"b"})
        loads = list(scheduler.loads)
        draining.fill_up(scheduler, {b"a", b"b", b"of another cluster"})
        assert (scheduler.loads, scheduler.looks) == (loads, [])

    def test_when_it_is_over_they_have_their_room_again_and_the_queue_is_looked_through(self, scheduler):
        draining.fill_up(scheduler, {b"a", b"b"})
        draining.fill_up(scheduler, set())
        assert (scheduler.loads, scheduler.looks) == ([0, 1, 0], [None])

    def test_one_that_was_silent_and_came_back_is_full_again_at_the_next_word(self, scheduler):
        draining.fill_up(scheduler, {b"a"})
        scheduler.loads[0] = 0  # it was registered anew
        draining.fill_up(scheduler, {b"a"})
        assert self.room(scheduler) == [b"c"]


def test_a_notice_is_told_from_an_engine_that_has_gone():
    assert drains.read_uuids(drains.as_uuid(["a-1", "b-2"]).encode()) == {b"a-1", b"b-2"}
    assert drains.read_uuids(drains.as_uuid([]).encode()) == set()
    assert drains.read_uuids(b"0f7c8a12-5d6e") is None


class TestHub:
    @pytest.fixture
    def hub(self):
        """What a hub has, with two engines; what it sends is kept."""
        engines = {0: SimpleNamespace(uuid="a"), 1: SimpleNamespace(uuid="b")}
        made = SimpleNamespace(engines=engines, draining={}, notifier="to all", query="back", sent=[])
        made.session = SimpleNamespace(send=lambda *to, **about: made.sent.append((to, about)))
        return made

    def tell(self, hub, *engines, over=False):
        from clusterctl.on_node.with_ipyparallel.patches.hub import Hub  # late: half a second

        hub.sent.clear()
        Hub.tell_draining(hub, [b"who"], {"content": {"engines": list(engines), "over": over}})
        notices = [about["content"] for to, about in hub.sent if to[0] == "to all"]
        (answer,) = [to[2] for to, _ in hub.sent if to[0] == "back"]
        return [notice[drains.KEY] for notice in notices], answer["draining"]

    def test_all_that_drain_are_told_with_each_word_and_known_by_number(self, hub):
        assert self.tell(hub, 0) == ([["a"]], [0])
        assert self.tell(hub, 1, 7) == ([["a", "b"]], [0, 1, 7])
        assert self.tell(hub, 0, over=True) == ([["b"]], [1, 7])

    def test_a_question_alone_tells_nobody(self, hub):
        self.tell(hub, 0)
        assert self.tell(hub) == ([], [0])

    def test_no_client_takes_the_notice_for_the_end_of_an_engine(self, hub):
        self.tell(hub, 0)
        (_, about), _ = hub.sent
        assert about["content"]["id"] not in hub.engines


class TestEngine:
    def test_none_starts_while_its_node_will_be_taken(self, tmp_path, monkeypatch, capsys):
        notice = tmp_path / "interruption"
        notice.write_text("soon")
        waits = []

        def pause(_seconds):
            waits.append(notice.exists())
            if len(waits) == 3:
                notice.unlink()

        monkeypatch.setattr(start_engine.time, "sleep", pause)
        start_engine.wait_for_future(str(notice))
        assert waits == [True] * 3
        assert capsys.readouterr().out == "this node will be taken: no engine starts here\n"

    def test_one_starts_at_once_where_the_folder_of_notices_is_closed_to_it(self, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(start_engine.time, "sleep", lambda _: pytest.fail("it waited"))
        with monkeypatch.context() as patch:
            patch.setattr(start_engine.os, "stat", refuse)
            start_engine.wait_for_future("/run/clusterctl/interruption")

    def test_one_starts_at_once_where_nothing_is_known(self, tmp_path, monkeypatch):
        monkeypatch.setattr(start_engine.time, "sleep", lambda _: pytest.fail("it waited"))
        start_engine.wait_for_future(str(tmp_path / "interruption"))


class TestProgram:
    @pytest.fixture
    def tell(self, tmp_path, monkeypatch):
        """Run the program with these arguments against a hub with this answer. Return what failed and what was sent."""
        (tmp_path / "engine.json").write_text(json.dumps({"key": ""}))

        def run(*words, answer):
            sent = []
            socket = SimpleNamespace(poll=lambda _ms: answer is not None)
            hub = SimpleNamespace(
                send=lambda kind, content: sent.append((kind, content)),
                socket=socket,
                receive=lambda: answer,
                close=lambda: sent.append("closed"),
            )
            monkeypatch.setattr(drain_engines, "Hub", lambda _connection: hub)
            monkeypatch.setattr(sys, "argv", ["drain.py", *words])
            failed = drain_engines.main({"connection": str(tmp_path / "engine.json"), "wait_s": 1})
            return failed, sent

        return run

    def test_it_says_which_engines_and_whether_it_is_over(self, tell):
        assert tell("3", "4", answer={"status": "ok"}) == (
            None,
            [(drains.REQUEST, {"engines": [3, 4], "over": False}), "closed"],
        )
        assert tell("--over", "3", answer={"status": "ok"})[1][0][1] == {"engines": [3], "over": True}

    def test_a_silent_controller_and_an_older_one_are_failures(self, tell):
        assert "does not answer" in tell("3", answer=None)[0]
        assert "older version" in tell("3", answer={"status": "error"})[0]
