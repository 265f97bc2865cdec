"""Items that take too long in C code: their engine ends, and they fail alone."""

from __future__ import annotations

import pickle

from clusterctl.compute.failures import CrashError


def end_with(channel, item):
    """Have each engine end that gets this item."""

    def make(uuid):
        def end(request):
            if item in pickle.loads(request["items"]):
                channel.end_engine(uuid)

        return end

    for uuid, engine in channel.by_uuid.items():
        engine.before = make(uuid)


def test_one_that_has_ended_its_engine_after_its_time_is_not_tried_again(make_pool):
    pool, channel = make_pool(8)
    end_with(channel, 17)
    values = pool.map(abs, range(40), chunksize=10, on_error="return", timeout_s=1e-9)
    assert [place for place, value in enumerate(values) if not isinstance(value, int)] == [17]
    assert type(values[17]) is TimeoutError
    assert str(values[17]).startswith("item 17 took longer than 1e-09 s")
    assert len(channel.by_uuid) >= 6  # one ended with ten items, one with the one


def test_one_that_has_ended_its_engine_before_its_time_has_crashed(make_pool):
    pool, channel = make_pool(8)
    end_with(channel, 0)
    (error,) = pool.map(abs, [0], on_error="return", timeout_s=3600)
    assert type(error) is CrashError


def test_each_kind_of_map_tells_engines_the_limit(make_pool):
    pool, channel = make_pool()
    pool.map(abs, [1], timeout_s=60)
    pool.starmap(divmod, [(7, 3)], timeout_s=60)
    list(pool.imap(abs, [1], timeout_s=60))
    list(pool.imap_unordered(abs, [1], timeout_s=60))
    assert {request["timeout_s"] for _, request in channel.requests} == {60}
