"""One call of a function: it is pickled once, and its reply is read in the thread that brings it."""

from __future__ import annotations

import threading

import pytest

from clusterctl.compute import dispatch
from clusterctl.compute.dispatch import Dispatcher

from ...support.laptop import poll

DISPATCHER = "clusterctl-dispatch"


def thread_name():
    return threading.current_thread().name


class Reader:
    """Comes back as the name of the thread that reads it."""

    def __reduce__(self):
        return thread_name, ()


class Counted:
    pickled = 0

    def __reduce__(self):
        Counted.pickled += 1
        return int, (3,)


@pytest.fixture
def held(make_pool, monkeypatch):
    """A pool on one engine, which waits for an event; nobody looks around unless he is woken."""
    for name in ("_TICK_S", "_IDLE_TICK_S", "_SHARING_TICK_S", "_QUICK_S"):
        monkeypatch.setattr(dispatch, name, 60.0)
    pool, channel = make_pool(1)
    go_on = threading.Event()
    channel.by_uuid["uuid0"].before = lambda _: go_on.wait(10)
    return pool, channel, go_on


def test_its_reply_is_read_by_the_thread_that_brings_it(make_pool):
    pool, _ = make_pool(1)
    poll(lambda: pool.apply(Reader) != DISPATCHER, "a reply is read where it comes in")


@pytest.mark.parametrize("about", [{"callback": print}, {"error_callback": print}])
def test_the_callers_own_code_runs_in_the_dispatchers_thread(make_pool, about):
    pool, _ = make_pool(1)
    assert {pool.apply_async(Reader, **about).get(10) for _ in range(20)} == {DISPATCHER}


def test_what_takes_long_is_left_to_the_dispatcher(make_pool, monkeypatch):
    monkeypatch.setattr(dispatch, "_QUICK_S", 0.0)
    pool, _ = make_pool(1)
    assert {pool.apply(Reader) for _ in range(20)} == {DISPATCHER}


def test_the_replies_of_a_map_are_too(make_pool):
    pool, _ = make_pool(2)
    assert set(pool.map(lambda _: Reader(), range(20), chunksize=1)) == {DISPATCHER}


def test_an_engine_that_has_room_again_is_given_what_waits(held):
    pool, _, go_on = held
    call, waiting = pool.apply_async(abs, (-1,)), pool.map_async(abs, [-2, -3])
    go_on.set()
    assert (call.get(10), waiting.get(10)) == (1, [2, 3])


def test_a_client_that_closes_when_nothing_is_under_way_does_so_then(held):
    pool, channel, go_on = held
    call = pool.apply_async(abs, (-1,))
    Dispatcher.of(None).close_when_done()
    go_on.set()
    assert call.get(10) == 1
    poll(lambda: channel.is_closed, "the client is closed", deadline_s=10)


def test_an_error_that_is_read_there_is_the_callers(make_pool):
    pool, _ = make_pool(1)
    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            pool.apply(divmod, (1, 0))


def test_its_arguments_are_pickled_once(make_pool):
    pool, _ = make_pool(1)
    Counted.pickled = 0
    assert pool.apply(abs, (Counted(),)) == 3
    assert Counted.pickled == 1
