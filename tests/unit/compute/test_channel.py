"""What is said to engines by the way of control messages."""

from __future__ import annotations

import threading
import types
from concurrent.futures import Future

import pytest

from clusterctl.compute.channel import Channel, engine_program
from clusterctl.on_node.with_ipyparallel.agreed import ends


@pytest.fixture
def told():
    return []


@pytest.fixture
def channel(told):
    """One whose client notes what it sends."""

    def send(stream, kind, *, content, ident):
        told.append((stream, kind, content, ident))
        return Future()

    return Channel(types.SimpleNamespace(_control_stream="control", _send=send))


def answer(channel, engine):
    future = Future()
    future.set_result(b"reply")
    assert channel.outcome(future, engine) == ("", b"reply")


def test_an_engine_that_may_not_have_the_program_yet_leaves_messages_out_as_any_engine_does(channel, told):
    channel.take_back("e1", [("c1", "m1"), ("c2", "m2")], interrupt=True)
    assert next((kind, content.get("msg_ids")) for _, kind, content, _ in told) == ("abort_request", ["m1", "m2"])
    assert told[1][1:] == (
        f"{engine_program()[0]}_request",
        {"chunks": ["c1", "c2"], "messages": ["m1", "m2"], "interrupt": True},
        b"e1",
    )


def test_one_that_has_answered_hears_the_program(channel, told):
    answer(channel, "e1")
    channel.take_back("e1", [("c1", "m1")], interrupt=True)
    channel.take_back("e2", [("c1", "m1")], interrupt=False)
    assert {kind for _, kind, _, _ in told} == {f"{engine_program()[0]}_request"}


def test_a_reply_that_was_received_takes_nothing_back(channel, told):
    channel.acknowledge("e1", ["c1"])
    ((_, _, content, _),) = told
    assert content == {"chunks": [], "messages": [], "interrupt": False, "acknowledged": ["c1"]}


def test_what_a_task_prints_is_heard_though_it_comes_before_the_call_that_sends_it_returns():
    heard = []

    def send(stream, function, arguments, named, *, metadata, ident, message_future_hook):
        future = Future()
        future.msg_id, future.iopub_callbacks = "m1", []
        if message_future_hook is not None:
            message_future_hook(future)
        for callback in future.iopub_callbacks:  # an engine that is quick, and a client that is slow
            callback({"header": {"msg_type": "stream"}, "content": {"name": "stdout", "text": "hello\n"}})
        return future

    channel = Channel(types.SimpleNamespace(_mux_stream="mux", history=[], send_apply_request=send))
    channel.send("e1", {}, lambda stream, text: heard.append((stream, text)))
    assert heard == [("stdout", "hello\n")]


class TestTheEndOfAClient:
    @pytest.fixture
    def client(self):
        client = types.SimpleNamespace(_closed=False, _io_thread=threading.Thread(target=lambda: None), ends=[])
        client.close = lambda linger=None: client.ends.append(f"closed {linger}") or vars(client).update(_closed=True)
        return client

    def test_is_told_first_and_once(self, client, monkeypatch):
        at_exit = []
        monkeypatch.setattr("atexit.register", at_exit.append)
        monkeypatch.setattr("atexit.unregister", lambda act: at_exit.clear())
        Channel(client).before_close(act := lambda: client.ends.append("told"))
        assert at_exit == [act]
        client.close(linger=0)
        assert (client.ends, at_exit) == (["told", "closed 0"], [])
        client.close()
        assert client.ends == ["told", "closed 0", "closed None"]

    def test_waits_for_no_reply_that_cannot_come(self, client):
        channel, asked = Channel(client), Future()
        channel.wait_for(asked, 600)  # the thread that brings it has not begun, or has ended
        client._io_thread = threading.current_thread()
        channel.wait_for(asked, 600)
        client._io_thread = threading.Thread(target=asked.set_result, args=("reply",))
        client._io_thread.start()
        channel.wait_for(asked, 600)
        client._io_thread.join()


def test_how_an_engine_has_ended_is_kept_as_text_that_a_terminal_may_be_given():
    callbacks, changes = [], []
    client = types.SimpleNamespace(_registration_callbacks=callbacks)
    channel = Channel(client)
    channel.on_change(lambda: changes.append("engines"), lambda: changes.append("end"), changes.append)
    (hear,) = callbacks
    hear({"id": -1, "uuid": "", ends.KEY: ["e1", "Fatal\x1b[2J"]})
    assert channel.how_it_ended("e1") == "Fatal\\x1b[2J"
    assert channel.how_it_ended("e2") == ""
    assert changes == []
