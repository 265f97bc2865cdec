"""Each call of a client that `connect` made ends: with what came, or with an error that says why nothing does."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from clusterctl.compute import watch as client_watch
from clusterctl.compute.failures import NoEnginesError
from clusterctl.compute.watch import LOST, ClientWatch


class Answer(Future):
    def __init__(self, msg_id):
        super().__init__()
        self.msg_id = msg_id


class Client:
    """The parts of ipyparallel's client that the watch goes into."""

    def __init__(self):
        self.outstanding, self._futures, self._engines, self.told = set(), {}, {}, []
        self._closed, self._numbers = False, itertools.count()
        self._query_socket, self.mux, self.broadcast = object(), object(), object()
        self.later = []
        self._io_loop = SimpleNamespace(
            add_callback=lambda act, *words: act(*words) if words else None,
            call_later=lambda seconds, act: self.later.append(act),
        )
        self.session = SimpleNamespace(msg=self._message, send=lambda *way, ident: self.asked.append((*way, ident)))
        self.asked, self.stale = [], []
        self._queue_handlers = {"execute_reply": self.stale.append, "apply_reply": self._handle_apply_reply}

    def _message(self, kind, content, metadata=None):
        header = {"msg_id": f"q{len(self.asked)}", "msg_type": kind}
        return {"header": header, "content": content, "metadata": metadata or {}, "parent_header": {}}

    def reply(self, number):
        """An engine has done what it was sent by this number."""
        self._queue_handlers["execute_reply"]({"parent_header": {"msg_id": number}})

    def make(self, msg_id, *, task):
        self._futures[msg_id] = Answer(msg_id)
        if task:
            self.outstanding.add(msg_id)
        return self._futures[msg_id]

    def _send(self, socket, kind, **about):
        future = self.make(f"m{next(self._numbers)}", task=kind == "apply_request")
        metadata = about.get("metadata") or {}
        if metadata.get("is_broadcast") and not metadata["is_coalescing"]:
            for uuid, _ in metadata["targets"]:
                self.make(f"{future.msg_id}_{uuid}", task=True)
        return None if kind == "comm_msg" else future

    def close(self, linger=None):
        self._closed = True

    def _handle_apply_reply(self, message):
        msg_id = message["parent_header"]["msg_id"]
        self.outstanding.remove(msg_id)
        self._futures[msg_id].set_result(message["content"])

    def _register_engine(self, message):
        self._engines[message["content"]["id"]] = message["content"]["uuid"]
        self.told.append(("came", message["content"]["id"]))

    def _unregister_engine(self, message):
        self._engines.pop(message["content"]["id"])
        self.told.append(("went", message["content"]["id"]))


@pytest.fixture
def watched():
    client = Client()
    watch = ClientWatch(client, "lab")
    watch.begin()
    return client, watch


def error_of(future):
    return future.result(timeout=0)["ename"]


def test_a_copy_of_the_process_sends_nothing(watched, monkeypatch):
    client, _ = watched
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(NoEnginesError, match="of which this one is a copy") as caught:
        client._send(client.mux, "apply_request", ident=b"e1")
    assert "clusterctl.connect()" in caught.value.remedy
    assert client._futures == {}


class TestLostConnection:
    def test_what_was_asked_through_it_fails_and_nothing_else(self, watched):
        client, watch = watched
        lost = client._send(client.mux, "apply_request")
        stream = SimpleNamespace(socket=client.mux)
        also = client._send(stream, "apply_request")
        other = client._send(client.broadcast, "apply_request")
        watch.hear_disconnect(client.mux)
        assert (error_of(lost), error_of(also), other.done()) == (LOST, LOST, False)
        assert "try: see `clusterctl status lab`" in lost.result()["evalue"]

    def test_what_is_asked_afterwards_waits_for_its_answer(self, watched):
        client, watch = watched
        watch.hear_disconnect(client.mux)
        assert not client._send(client.mux, "apply_request").done()

    def test_what_was_answered_is_left_alone(self, watched):
        client, watch = watched
        answered = client._send(client.mux, "apply_request")
        answered.set_result({"ename": "none"})
        watch.hear_disconnect(client.mux)
        assert error_of(answered) == "none"

    def test_an_answer_that_comes_all_the_same_is_one_too_many_and_harmless(self, watched):
        client, watch = watched
        lost = client._send(client.mux, "apply_request")
        waits = client._send(client.broadcast, "apply_request")
        watch.hear_disconnect(client.mux)
        for pending in (lost, waits):
            late = {"parent_header": {"msg_id": pending.msg_id}, "content": {"ename": "none"}}
            client._queue_handlers["apply_reply"](late)
        assert (error_of(lost), error_of(waits)) == (LOST, "none")

    def test_an_engine_that_ended_ends_its_other_calls_whatever_has_an_end_already(self, watched):
        client, watch = watched
        lost, waits = (client._send(client.mux, "apply_request") for _ in range(2))
        watch.hear_disconnect(client.mux)
        also = client._send(client.mux, "apply_request")
        assert (lost.done(), waits.done()) == (True, True)
        for pending in (lost, waits, also):  # as ipyparallel does for what it thinks an engine has still to do
            gone = {"parent_header": {"msg_id": pending.msg_id}, "content": {"ename": "EngineError"}}
            client._handle_apply_reply(gone)
        assert [error_of(pending) for pending in (lost, waits, also)] == [LOST, LOST, "EngineError"]

    def test_the_answer_of_all_engines_together_is_known_by_the_call(self, watched):
        client, watch = watched
        lost = client._send(client.broadcast, "apply_request")
        watch.hear_disconnect(client.broadcast)
        metadata = {"is_broadcast": True, "is_coalescing": True, "original_msg_id": lost.msg_id}
        client._queue_handlers["apply_reply"]({"parent_header": {"msg_id": "x"}, "metadata": metadata, "content": {}})
        assert error_of(lost) == LOST

    def test_of_a_broadcast_each_engines_answer_fails(self, watched):
        client, watch = watched
        metadata = {"is_broadcast": True, "is_coalescing": False, "targets": [("a", 5), ("b", 1)]}
        future = client._send(client.broadcast, "apply_request", metadata=metadata)
        watch.hear_disconnect(client.broadcast)
        assert [error_of(client._futures[f"{future.msg_id}_{uuid}"]) for uuid in "ab"] == [LOST, LOST]

    def test_and_of_one_that_is_answered_as_a_whole_the_whole(self, watched):
        client, watch = watched
        metadata = {"is_broadcast": True, "is_coalescing": True, "targets": [("a", 0)]}
        future = client._send(client.broadcast, "apply_request", metadata=metadata)
        watch.hear_disconnect(client.broadcast)
        assert error_of(future) == LOST

    def test_a_question_to_the_controller_raises(self, watched):
        client, watch = watched
        asked = client._send(client._query_socket, "queue_request")
        watch.hear_disconnect(client._query_socket)
        assert asked.exception(timeout=0).ename == LOST

    def test_what_expects_no_answer_is_not_waited_for(self, watched):
        client, _ = watched
        assert client._send(client.mux, "comm_msg") is None


class TestSilence:
    def ask(self, client, watch, count):
        for _ in range(count):
            watch._ask()
        return list(client._futures.values())

    def test_after_45_seconds_all_that_waits_fails(self, watched):
        client, watch = watched
        waiting = client._send(client.mux, "apply_request")
        self.ask(client, watch, client_watch._SILENT_ASKS)
        assert not waiting.done()
        self.ask(client, watch, 1)
        assert error_of(waiting) == LOST
        assert "has not answered for 45 s" in waiting.result()["evalue"]

    def test_one_answer_and_the_clock_begins_anew(self, watched):
        client, watch = watched
        waiting = client._send(client.mux, "apply_request")
        for _ in range(3):
            self.ask(client, watch, client_watch._SILENT_ASKS)[-1].set_result({"content": {"engines": {}}})
        assert not waiting.done()

    def test_as_long_as_it_is_silent_what_is_sent_fails_within_a_round_and_no_engine_is_taken_for_gone(self, watched):
        client, watch = watched
        client._engines = {0: "a"}
        self.ask(client, watch, client_watch._SILENT_ASKS + 1)
        for _ in range(30):
            waiting = client._send(client.mux, "apply_request")
            self.ask(client, watch, 1)
            assert error_of(waiting) == LOST
        assert (client._engines, client.told) == ({0: "a"}, [])

    def test_its_own_questions_do_not_pile_up(self, watched):
        client, watch = watched
        self.ask(client, watch, 100)
        assert sum(not future.done() for future in client._futures.values()) == client_watch._SILENT_ASKS + 1

    def test_a_client_that_is_closed_is_asked_for_nothing(self, watched):
        client, watch = watched
        client.close(linger=0)
        self.ask(client, watch, 1)
        assert (client._closed, client._futures, client.later) == (True, {}, [])


class TestSilentEngine:
    """A scheduler that has just started drops what is meant for an engine that is not connected yet."""

    def wait(self, watch, rounds=client_watch._ASKED_AFTER):
        for _ in range(rounds):
            watch._ask()

    def test_it_is_asked_by_the_way_of_the_call_and_by_no_call_of_the_users(self, watched):
        client, watch = watched
        client._send(client.mux, "apply_request", ident=b"a")
        self.wait(watch, client_watch._ASKED_AFTER - 1)
        assert client.asked == []
        before = dict(client._futures)
        self.wait(watch, 1)
        ((way, message, ident),) = client.asked
        assert (way, ident, message["content"]["code"], message["content"]["silent"]) == (client.mux, b"a", "", True)
        assert len(client._futures) == len(before) + 1  # the controller was asked, as in each round

    def test_what_it_answers_later_was_lost_if_it_answers_the_question(self, watched):
        client, watch = watched
        lost, other = (client._send(client.mux, "apply_request", ident=ident) for ident in (b"a", b"b"))
        self.wait(watch)
        late = client._send(client.mux, "apply_request", ident=b"a")
        client.reply("q0")
        assert (error_of(lost), other.done(), late.done(), client.stale) == (LOST, False, False, [])
        assert "was lost on its way" in lost.result()["evalue"]

    def test_one_at_work_is_asked_ever_more_seldom(self, watched):
        client, watch = watched
        client._send(client.mux, "apply_request", ident=b"a")
        counts = []
        for _ in range(30):
            watch.hear_engines(SimpleNamespace(exception=lambda: None, result=lambda: {"content": {"engines": {}}}))
            self.wait(watch, 1)
            counts.append(len(client.asked))
        assert [counts.index(count) + 1 for count in (1, 2, 3, 4)] == [2, 4, 8, 16]

    def test_one_that_answers_the_call_is_asked_no_more_and_may_still_answer_the_question(self, watched):
        client, watch = watched
        done = client._send(client.mux, "apply_request", ident=b"a")
        self.wait(watch)
        done.set_result({"ename": "none"})
        client.reply("q0")
        self.wait(watch, 8)
        assert (error_of(done), len(client.asked), client.stale) == ("none", 1, [])

    def test_a_call_to_whichever_engine_is_free_waits_in_its_scheduler(self, watched):
        client, watch = watched
        client._send(client.mux, "apply_request", metadata={"targets": []})
        client._send(client.mux, "abort_request", ident=b"a")  # another socket, on which engines answer at once
        self.wait(watch, 3)
        assert client.asked == []

    def test_of_a_broadcast_each_silent_engine_is_asked(self, watched):
        client, watch = watched
        metadata = {"is_broadcast": True, "is_coalescing": False, "targets": [("a", 5), ("b", 1)]}
        call = client._send(client.broadcast, "apply_request", metadata=metadata).msg_id
        client._futures[f"{call}_b"].set_result({"ename": "none"})
        self.wait(watch)
        ((way, message, ident),) = client.asked
        assert (way, ident, message["metadata"]["targets"]) == (client.broadcast, None, [("a", 5)])
        client.reply("q0_a")
        assert error_of(client._futures[f"{call}_a"]) == LOST

    def test_one_that_is_answered_as_a_whole_is_lost_when_all_have_answered(self, watched):
        client, watch = watched
        metadata = {"is_broadcast": True, "is_coalescing": True, "targets": [("a", 0), ("b", 1)]}
        call = client._send(client.broadcast, "apply_request", metadata=metadata)
        self.wait(watch)
        first, second = (f"{m['header']['msg_id']}_{m['metadata']['targets'][0][0]}" for _, m, _ in client.asked)
        client.reply(first)
        assert not call.done()
        client.reply(second)
        assert error_of(call) == LOST

    def test_an_answer_that_comes_after_the_connection_was_lost_says_nothing(self, watched):
        client, watch = watched
        client._send(client.mux, "apply_request", ident=b"a")
        self.wait(watch)
        watch.hear_disconnect(client.mux)
        late = client._send(client.mux, "apply_request", ident=b"a")
        client.reply("q0")
        assert (late.done(), client.stale) == (False, [])


class TestEngines:
    def hear(self, watched, *lists):
        client, watch = watched
        for engines in lists:
            answer = Answer("x")
            answer.set_result({"content": {"engines": engines}})
            watch.hear_engines(answer)
        return client.told

    def test_news_that_was_missed_is_caught_up_with(self, watched):
        assert self.hear(watched, {"0": "a", "1": "b"}) == [("came", 0), ("came", 1)]

    def test_one_that_is_missing_for_long_is_gone_and_a_new_controller_may_list_it_later(self, watched):
        both, one = {"0": "a", "1": "b"}, {"0": "a"}
        assert self.hear(watched, both, one, one, both, one, one) == [("came", 0), ("came", 1)]
        assert self.hear(watched, one)[-1] == ("went", 1)

    def test_another_one_of_its_number_takes_its_place(self, watched):
        assert self.hear(watched, {"0": "a"}, {"0": "new"}) == [("came", 0), ("went", 0), ("came", 0)]

    @pytest.mark.parametrize("content", [{}, {"engines": None}, {"engines": [1]}])
    def test_an_answer_that_is_none_changes_nothing(self, watched, content):
        client, watch = watched
        answer = Answer("x")
        answer.set_result({"content": content})
        watch.hear_engines(answer)
        failed = Answer("y")
        failed.set_exception(TimeoutError())
        watch.hear_engines(failed)
        assert client.told == []
