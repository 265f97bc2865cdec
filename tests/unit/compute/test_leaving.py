"""A client that leaves: its program ends, or closes it, in the middle of maps."""

from __future__ import annotations

import atexit
import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from clusterctl.clock import Stopwatch
from clusterctl.compute import event_thread
from clusterctl.compute.channel import Channel
from clusterctl.compute.dispatch import Dispatcher
from clusterctl.compute.failures import NoEnginesError
from clusterctl.testing import FakeClock


@pytest.fixture
def exits(monkeypatch):
    """What is to be done at the end of the program."""
    registered = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(atexit, "unregister", lambda leave: leave in registered and registered.remove(leave))
    return registered


@pytest.fixture
def under_way(exits, make_pool):
    """A map that has begun on the only engine, which goes on as the test lets it."""
    pool, channel = make_pool(1)
    begun, released = threading.Event(), threading.Event()
    (engine,) = channel.by_uuid.values()
    engine.before = lambda request: (begun.set(), released.wait())
    taken_back = []
    take_back = channel.take_back
    channel.take_back = lambda uuid, chunks, **how: (taken_back.append(how), take_back(uuid, chunks, **how))[1]
    result = pool.map_async(abs, range(10))
    assert begun.wait(10)
    yield SimpleNamespace(pool=pool, channel=channel, result=result, taken_back=taken_back)
    released.set()


def leaves(channel, how, exits):
    if how == "the client is closed":
        channel.close()
    else:
        (leave,) = exits
        leave()


@pytest.mark.parametrize("how", ["the client is closed", "the program ends"])
def test_a_map_under_way_ends_and_its_engines_are_interrupted(under_way, exits, how):
    leaves(under_way.channel, how, exits)
    assert under_way.taken_back == [{"interrupt": True}], "before it has left"
    with pytest.raises(NoEnginesError):
        under_way.result.get(0)


def test_the_controller_hears_that_nothing_waits(make_pool, exits):
    with FakeClock().installed() as clock:
        pool, channel = make_pool(0, wait_s=1e6)
        pool.map_async(abs, range(10))
        dispatcher = Dispatcher.of(None)
        for _ in range(3):
            clock.advance(2)
            done = threading.Event()
            dispatcher._thread.put(done.set)  # it has looked around since
            assert done.wait(10)
        leaves(channel, "the program ends", exits)
    assert [demand["items"] for demand in channel.demands][-2:] == [10, 0]


def test_it_waits_until_others_have_heard_but_not_for_ever(under_way, exits, monkeypatch):
    monkeypatch.setattr(event_thread, "_LEAVE_S", 0.2)
    under_way.channel.unanswered.append(Future())
    watch = Stopwatch()
    leaves(under_way.channel, "the program ends", exits)
    assert 0.2 <= watch.elapsed_s < 5


def test_one_that_was_closed_is_forgotten(make_pool, exits):
    pool, channel = make_pool(1)
    assert pool.map(abs, [-1]) == [1]
    assert len(exits) == 1
    channel.close()
    Dispatcher.of(None).close_and_wait(10)
    assert exits == []
    channel.close()  # again, with nobody there to leave


def test_what_was_told_and_not_answered_is_known():
    answers = []

    def send(stream, kind, **about):
        answers.append(Future())
        return answers[-1]

    closed = []
    client = SimpleNamespace(_control_stream="c", _query_stream="q", _send=send, close=lambda **how: closed.append(how))
    channel = Channel(client)
    channel.take_back("e1", [("c1", "m1")], interrupt=False)
    channel.tell_demand({"items": 0})
    assert {*channel.unheard()} == {*answers}
    answers[0].set_result(None)
    assert channel.unheard() == answers[1:]
    channel.before_close(lambda: closed.append("left"))
    client.close(linger=0)
    assert closed == ["left", {"linger": 0}]
