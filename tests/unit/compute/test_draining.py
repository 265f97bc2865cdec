"""An engine whose node will be taken ends what it is at, and is given nothing more."""

from __future__ import annotations

import threading

from ...support.laptop import poll


def test_what_it_is_at_ends_what_waits_there_is_done_elsewhere_and_nothing_new_comes(make_pool):
    pool, channel = make_pool(2)
    began, may_end = [], threading.Event()

    def before(uuid):
        began.append(uuid)
        if began.count(uuid) > 1:  # the first answer says that items are quick: from then on a chunk waits behind
            may_end.wait(30)

    for uuid, engine in channel.by_uuid.items():
        engine.before = lambda request, uuid=uuid: before(uuid)
    result = pool.map_async(abs, range(20), chunksize=1)
    poll(lambda: len(began) == 4, "both engines work on their second chunk")
    poll(lambda: len(channel.requests) >= 6, "and have one behind it")
    channel.drain({"uuid0"})
    poll(lambda: channel.by_uuid["uuid0"].aborted, "it is asked to leave out what it has not begun")
    sent = len(channel.requests)
    may_end.set()
    assert result.get(30) == list(range(20))
    assert began.count("uuid0") == 2
    assert {uuid for uuid, _ in channel.requests[sent:]} == {"uuid1"}


def test_one_that_stays_after_all_is_given_work_again(make_pool):
    pool, channel = make_pool(2)
    channel.drain({"uuid0"})
    pool.map(abs, range(100), chunksize=1)
    assert {uuid for uuid, _ in channel.requests} == {"uuid1"}
    channel.drain(set())
    pool.map(abs, range(100), chunksize=1)
    assert {uuid for uuid, _ in channel.requests} == {"uuid0", "uuid1"}


def test_where_all_nodes_will_be_taken_work_waits_for_another_one(make_pool):
    pool, channel = make_pool(1)
    channel.drain({"uuid0"})
    result = pool.map_async(abs, [-1, -2])
    channel.add_engine()
    assert result.get(30) == [1, 2]
    assert {uuid for uuid, _ in channel.requests} == {"uuid1"}
