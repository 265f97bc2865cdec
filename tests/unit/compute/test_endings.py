"""Each call of a pool ends: where its client is closed, its process was copied, or it would wait for itself."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from clusterctl.compute.failures import NoEnginesError

from ...support.laptop import poll


def square(number):
    return number * number


@pytest.mark.parametrize(
    "wait",
    [
        lambda pool: pool.map(square, [2]),
        lambda pool: pool.map_async(square, [2]).get(),
        lambda pool: next(pool.imap(square, [2])),
    ],
)
def test_a_callback_that_would_wait_for_itself_is_told_so(make_pool, monkeypatch, wait):
    said = []
    monkeypatch.setattr(threading, "excepthook", lambda about: said.append(about.exc_value))
    pool, _ = make_pool()
    assert pool.map_async(square, [3], callback=lambda _: wait(pool)).get(10) == [9]
    assert [type(error) for error in said] == [RuntimeError]
    assert "a callback cannot wait for a map" in str(said[0])


def test_a_callback_may_begin_another_map_and_take_what_is_there(make_pool):
    begun = []
    pool, _ = make_pool()
    first = pool.map_async(square, [3])
    assert first.get(10) == [9]
    begin = partial(pool.map_async, square, [5])
    pool.map_async(square, [4], callback=lambda _: begun.extend((first.get(), begin()))).wait(10)
    assert begun[0] == [9]
    assert begun[1].get(10) == [25]


def test_a_copy_of_the_process_has_an_error_and_does_not_wait_for_a_thread_that_is_not_there(make_pool, monkeypatch):
    pool, _ = make_pool()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(NoEnginesError, match="of which this one is a copy"):
        pool.map(square, [3])


def test_all_maps_end_and_engines_are_freed_where_their_client_is_closed(make_pool):
    pool, channel = make_pool(2)
    held = threading.Event()
    for engine in channel.by_uuid.values():
        engine.before = lambda _: held.wait(10)
    results = [pool.map_async(square, range(10), chunksize=1) for _ in range(3)]
    poll(lambda: {uuid for uuid, _ in channel.requests} == set(channel.by_uuid), "both have something to do")
    channel.close()
    assert set(channel.taken_back) == set(channel.by_uuid)
    held.set()
    for result in results:
        with pytest.raises(NoEnginesError, match="the client was closed"):
            result.get(10)
