"""The executor: what concurrent.futures promises of one."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import CancelledError

import pytest

from clusterctl.compute.faces.executor import PoolExecutor
from clusterctl.compute.faces.nested import ClientInTask

pytestmark = pytest.mark.filterwarnings("ignore:a pool in a task works in that task")
SEEN = []


@pytest.fixture
def held(make_pool):
    """An executor on one engine, which waits for an event."""
    pool, channel = make_pool(1)
    go_on = threading.Event()
    channel.by_uuid["uuid0"].before = lambda _: go_on.wait(10)
    return PoolExecutor(pool), go_on


def test_values_and_errors_come_by_futures(make_pool):
    pool, _ = make_pool(2)
    with PoolExecutor(pool) as executor:
        assert executor.submit(divmod, 7, 2).result(10) == (3, 1)
        assert executor.submit(int, "ff", base=16).result(10) == 255
        assert isinstance(executor.submit(divmod, 1, 0).exception(10), ZeroDivisionError)
        assert executor.submit(sys.exit, 3).exception(10).code == 3
        assert list(executor.map(divmod, [7, 9], [2, 4], timeout=10, chunksize=5)) == [(3, 1), (2, 1)]
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)


def test_a_shutdown_waits_for_what_is_under_way(held):
    executor, go_on = held
    future = executor.submit(abs, -1)
    executor.shutdown(wait=False)
    assert not future.done()
    go_on.set()
    executor.shutdown()
    assert future.done()
    assert future.result() == 1


def test_or_cancels_it(held):
    executor, go_on = held
    futures = [executor.submit(abs, -1) for _ in range(3)]
    executor.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(10)


def test_a_result_that_comes_too_late_is_a_timeout(held):
    executor, go_on = held
    with pytest.raises(TimeoutError):
        next(executor.map(abs, [-1], timeout=0.01))
    go_on.set()


def test_wrong_numbers_are_refused(make_pool):
    pool, _ = make_pool(1)
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        PoolExecutor(pool).map(abs, [-1], chunksize=0)


def test_it_takes_an_initializer_in_a_task_as_well():
    executor = ClientInTask().executor(2, SEEN.append, ("here",))
    assert executor.submit(len, SEEN).result() == 1
    assert SEEN == ["here"]


def test_sys_exit_in_a_task_of_a_task_ends_that_alone():
    assert ClientInTask().executor().submit(sys.exit, 3).exception().code == 3
