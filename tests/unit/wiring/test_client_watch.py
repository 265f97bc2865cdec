"""Each call of a client that `connect` made ends: with what came, or with an error that says why nothing does."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from clusterctl.wiring import client_watch
from clusterctl.wiring.client_watch import LOST, ClientWatch


class Answer(Future):
    def __init__(self, msg_id):
        super().__init__()
        self.msg_id = msg_id


class Client:
    """The parts of ipyparallel's client that the watch goes into."""

    def __init__(self):
        self.outstanding, self._futures, self._engines, self.told = set(), {}, {}, []
        self._closed = False
        self._query_socket, self.mux, self.broadcast = object(), object(), object()
        self.later = []
        self._io_loop = SimpleNamespace(
            add_callback=lambda act, *words: act(*words) if words else None,
            call_later=lambda seconds, act: self.later.append(act),
        )
        self.session = SimpleNamespace(msg=lambda kind, content: {"content": content, "parent_header": {}})

    def make(self, msg_id, *, task):
        self._futures[msg_id] = Answer(msg_id)
        if task:
            self.outstanding.add(msg_id)
        return self._futures[msg_id]

    def _send(self, socket, kind, **about):
        future = self.make(f"m{len(self._futures)}", task=kind == "apply_request")
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

    def test_of_a_broadcast_each_engines_answer_fails(self, watched):
        client, watch = watched
        metadata = {"is_broadcast": True, "is_coalescing": False, "targets": [("a", 0), ("b", 1)]}
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

    def test_its_own_questions_do_not_pile_up(self, watched):
        client, watch = watched
        self.ask(client, watch, 100)
        assert sum(not future.done() for future in client._futures.values()) == client_watch._SILENT_ASKS + 1

    def test_a_client_that_is_closed_is_asked_for_nothing(self, watched):
        client, watch = watched
        client.close(linger=0)
        self.ask(client, watch, 1)
        assert (client._closed, client._futures, client.later) == (True, {}, [])


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
