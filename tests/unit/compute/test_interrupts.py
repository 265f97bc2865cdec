"""Work ends with the one who waits for it: when he is interrupted, at whatever moment, and when nobody can take it."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from clusterctl.compute.dispatch import Dispatcher
from clusterctl.compute.engines.crew import Chunk, Crew
from clusterctl.compute.timers import wait_for

from ...support.light_channel import LightChannel

CALLS = {
    "map": lambda pool: pool.map(abs, [1]),
    "starmap": lambda pool: pool.starmap(divmod, [(7, 3)]),
    "apply": lambda pool: pool.apply(abs, (1,)),
    "imap": lambda pool: pool.imap(abs, itertools.count()),
}


@pytest.fixture
def held(make_pool):
    """A pool whose engine does not begin what it is sent, until the test is over."""
    pool, channel = make_pool(1)
    released = threading.Event()
    (engine,) = channel.by_uuid.values()
    engine.before = lambda request: released.wait()
    yield pool
    released.set()


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_right_after_the_begin_ends_the_work(held, monkeypatch, name):
    begin = Dispatcher.begin

    def begin_and_be_interrupted(dispatcher, work):
        begin(dispatcher, work)
        raise KeyboardInterrupt

    monkeypatch.setattr(Dispatcher, "begin", begin_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        CALLS[name](held)
    held.close()
    held.join()  # it would never return


def test_an_interrupt_while_an_iterator_waits_ends_the_work(held, monkeypatch):
    results = held.imap(abs, itertools.count())

    def be_interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "_changed", type("Condition", (), {"__enter__": be_interrupted, "__exit__": None})())
    with pytest.raises(KeyboardInterrupt):
        next(results)
    monkeypatch.undo()
    held.close()
    held.join()


def test_an_iterator_that_nobody_has_any_more_ends_its_work(make_pool):
    pool, _ = make_pool()
    for value in pool.imap(abs, itertools.count(), buffersize=10):
        if value == 5:
            break
    pool.close()
    pool.join()


def test_one_that_is_still_taken_goes_on(make_pool):
    pool, _ = make_pool()
    assert list(pool.imap(abs, range(1000), buffersize=10)) == list(range(1000))
    assert sum(pool.imap_unordered(abs, range(1000), buffersize=10)) == sum(range(1000))


def test_only_an_engine_that_may_work_on_it_is_ended():
    """One is at it, one does not answer, and one is at somebody else's work, behind which ours waits."""
    channel = LightChannel(3)
    crew, work, answers = Crew(channel), SimpleNamespace(), [Future() for _ in range(3)]
    crew.refresh()
    for engine, name in zip(crew.working(), "abc", strict=True):
        engine.chunks.append(Chunk(work, range(1), engine, {"chunk": name}))
    channel.take_back = lambda uuid, chunks, interrupt: answers["abc".index(chunks[0][0])]
    crew.take_back(work)
    answers[0].set_result({"content": {"ran": ["a"], "waited": []}})
    answers[2].set_result({"content": {"ran": [], "waited": ["c"]}})
    crew.kill_those_at(work)
    assert channel.killed == [0, 1]


class TestWaitFor:
    """A Python that is waiting for its turn when Ctrl-C comes hears of it when its next wait is over."""

    def test_no_wait_is_long(self):
        waits, answers = [], iter([False, False, True])
        changed = SimpleNamespace(wait=waits.append)
        assert wait_for(changed, lambda: next(answers)) is True
        assert len(waits) == 2
        assert max(waits) <= 0.5

    def test_it_ends_at_its_time(self):
        changed = SimpleNamespace(wait=lambda seconds: None)
        assert wait_for(changed, lambda: False, 0.0) is False
        assert wait_for(changed, lambda: True, 0.0) is True
