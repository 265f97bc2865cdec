"""What is said to engines by the way of control messages."""

from __future__ import annotations

import types
from concurrent.futures import Future

import pytest

from clusterctl.compute.channel import Channel, engine_program


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
