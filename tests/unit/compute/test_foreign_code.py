"""Code of the user's, and of whoever he has it from, ends no thread that others wait for, whatever it raises."""

from __future__ import annotations

import pickle
import sys
import threading
from multiprocessing.pool import MaybeEncodingError

import pytest

from clusterctl.compute.faces.executor import PoolExecutor
from clusterctl.compute.failures import EngineTroubleError, TaskError, pack_failure, read_failure


class OddError(BaseException):
    """Not an Exception, and not one of Python's own."""


ENDS = [SystemExit(3), OddError("odd"), GeneratorExit(), KeyboardInterrupt()]
kinds = pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)


def fail(error):
    raise error


class ReadBadly:
    """Its pickle raises when it is read."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return fail, (self.error,)


class WrittenBadly:
    """It raises when it is pickled."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error

    def __repr__(self):
        raise self.error


class BadError(Exception):
    """Whatever is done with it raises."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error

    def __str__(self):
        raise self.error


class WorseError(BadError):
    def __str__(self):
        return "bad"


def make_badly(kind, error):
    return kind(error)


def raise_badly(error):
    raise BadError(error)


@pytest.fixture
def pool(make_pool):
    """A pool that goes on to work afterwards."""
    pool, _ = make_pool(2)
    yield pool
    assert pool.map_async(abs, range(-9, 0)).get(10) == list(range(9, 0, -1))
    assert pool.apply_async(abs, (-1,)).get(10) == 1


@kinds
@pytest.mark.parametrize("call", ["apply", "map"])
def test_a_value_that_cannot_be_read_here(pool, error, call):
    result = pool.apply_async(ReadBadly, (error,)) if call == "apply" else pool.map_async(ReadBadly, [error] * 3)
    with pytest.raises(type(error)):
        result.get(10)


@kinds
def test_a_value_that_cannot_be_read_in_an_iterator(pool, error):
    with pytest.raises(type(error)):
        pool.imap(ReadBadly, [error]).next(10)


@pytest.mark.parametrize("error", ENDS[:3], ids=lambda error: type(error).__name__)
def test_a_value_that_cannot_be_written_there_fails_alone(pool, error):
    calls = [(WrittenBadly, error), (abs, -2)]
    values = pool.starmap_async(make_badly, calls, on_error="return").get(10)
    assert values[1] == 2
    assert isinstance(values[0], MaybeEncodingError)


@kinds
def test_an_item_that_cannot_be_written_here(pool, error):
    with pytest.raises(type(error)):
        pool.map_async(abs, [WrittenBadly(error)]).get(10)


@pytest.mark.parametrize("error", ENDS[:3], ids=lambda error: type(error).__name__)
def test_an_item_that_cannot_be_read_there(pool, error):
    with pytest.raises(type(error)):
        pool.map_async(abs, [ReadBadly(error)]).get(10)


@pytest.mark.parametrize("error", ENDS[:3], ids=lambda error: type(error).__name__)
def test_an_error_of_which_nothing_can_be_made(pool, error):
    with pytest.raises(TaskError, match="BadError: its text cannot be made"):
        pool.apply_async(raise_badly, (error,)).get(10)


@pytest.mark.parametrize("error", ENDS[:3], ids=lambda error: type(error).__name__)
def test_an_initializer_that_ends(make_pool, error):
    pool, _ = make_pool(1, initializer=fail, initargs=(error,))
    with pytest.raises(type(error)):
        pool.map_async(abs, [1]).get(10)


@kinds
def test_a_callback_that_ends(pool, monkeypatch, error):
    said = []
    monkeypatch.setattr(threading, "excepthook", lambda about: said.append(about.exc_value))
    assert pool.map_async(abs, [-1], callback=lambda _: fail(error)).get(10) == [1]
    with pytest.raises(ZeroDivisionError):
        pool.apply_async(divmod, (1, 0), error_callback=lambda _: fail(error)).get(10)
    assert said == [error, error]


@kinds
def test_a_callback_of_a_future_that_ends(make_pool, monkeypatch, error):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    pool, channel = make_pool(1)
    go_on = threading.Event()
    channel.by_uuid["uuid0"].before = lambda _: go_on.wait(10)
    executor = PoolExecutor(pool)
    futures = [executor.submit(abs, -1), executor.submit(abs, -2)]
    futures[0].add_done_callback(lambda _: fail(error))
    go_on.set()
    assert [future.result(10) for future in futures] == [1, 2]


def test_a_reply_that_is_none(make_pool):
    pool, channel = make_pool(1)
    program = channel.by_uuid["uuid0"].program
    run, replies = (
        program.run,
        [b"nonsense", pickle.dumps((9, 0.0, pickle.dumps([1] * 9), [], ("", ""))), pickle.dumps(3)],
    )
    program.run = lambda request: replies.pop()
    for error in (TypeError, EngineTroubleError, pickle.UnpicklingError):
        with pytest.raises(error):
            pool.map_async(abs, [-1]).get(10)
    program.run = run
    assert pool.map_async(abs, [-1]).get(10) == [1]


@pytest.mark.parametrize("error", ENDS[:3], ids=lambda error: type(error).__name__)
def test_an_error_of_a_map_that_outlives_its_client_is_told_as_text(error):
    told = read_failure(pack_failure(WorseError(error)))
    assert isinstance(told, TaskError)
    assert str(told).endswith("WorseError: bad")


def test_ctrl_c_is_not_taken_for_foreign_code():
    class CtrlCError(Exception):
        def __reduce__(self):
            raise KeyboardInterrupt

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        pack_failure(CtrlCError())


def test_sys_exit_in_a_task_ends_the_task_alone(pool):
    values = pool.map_async(sys.exit, [3, 4], on_error="return").get(10)
    assert [(type(value), value.code) for value in values] == [(SystemExit, 3), (SystemExit, 4)]


def test_a_function_that_refuses_to_be_sent_is_not_taken_for_an_executor_that_was_shut_down(pool):
    with pytest.raises(ValueError, match="not this one"):
        PoolExecutor(pool).submit(WrittenBadly(ValueError("not this one")))
