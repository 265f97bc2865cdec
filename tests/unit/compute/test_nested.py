"""A pool in a task works in that task: by every name, without an engine, and never for ever."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
import warnings

import cloudpickle
import pytest

import clusterctl
from clusterctl.compute.client import Client
from clusterctl.compute.faces import nested
from clusterctl.compute.faces.methods import PoolMethods
from clusterctl.compute.faces.nested import ClientInTask, InlinePool


class Unconnected(Client):
    """A client without a controller."""

    def __init__(self):
        pass

    def close(self, linger=None):
        pass


def square(number):
    return number * number


def divide_one_by(number):
    return 1 / number


@pytest.fixture(autouse=True)
def _in_task(monkeypatch):
    monkeypatch.setenv("CLUSTERCTL_IN_TASK", "1")
    monkeypatch.setattr(nested, "_SAID", {"nested"})


@pytest.fixture
def pool():
    with clusterctl.Pool(4) as pool:
        yield pool


class TestNames:
    def test_nothing_is_connected_and_no_ipyparallel_loaded(self, allow_subprocess):
        import subprocess

        code = "import clusterctl, sys; clusterctl.Pool(2).map(abs, [1]); print('ipyparallel' in sys.modules)"
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("False\n", "")

    def test_both_ways_to_make_one_give_it(self):
        assert isinstance(clusterctl.DistributedPool(n=2), InlinePool)
        assert isinstance(clusterctl.Pool(2, cluster="nobodys"), InlinePool)
        with pytest.raises(ValueError, match="Number of processes must be at least 1"):
            clusterctl.Pool(0)

    def test_a_client_gives_one_too(self):
        client = Unconnected()
        assert isinstance(client.pool(), InlinePool)
        assert client.map(divmod, [7, 9], [2, 4]) == [(3, 1), (2, 1)]
        assert client.executor().submit(square, 3).result() == 9

    def test_maps(self, pool):
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
        assert pool.starmap(divmod, [(7, 3)]) == [(2, 1)]
        assert pool.apply(int, ("11",), {"base": 2}) == 3
        assert list(pool.imap(square, range(3))) == [0, 1, 4]
        assert list(pool.imap_unordered(square, range(3))) == [0, 1, 4]
        assert list(pool.istarmap(divmod, [(7, 3)])) == [(2, 1)]

    def test_results_have_all_their_methods(self, pool):
        heard = []
        result = pool.map_async(square, [2], callback=heard.append)
        assert (result.ready(), result.successful(), result.get(0), heard) == (True, True, [4], [[4]])
        result.wait(0)
        result.cancel()
        assert result.report.rerun_items == set()
        failed = pool.apply_async(divide_one_by, (0,), error_callback=heard.append)
        assert not failed.successful()
        assert type(heard[1]) is ZeroDivisionError

    def test_the_initializer_runs_at_once(self):
        seen = []
        clusterctl.Pool(2, seen.append, ("here",))
        assert seen == ["here"]

    def test_an_executor_and_asyncio(self, allow_loopback):
        async def main(executor):
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(executor, pow, 2, n) for n in range(3)))

        with ClientInTask().executor() as executor:
            assert asyncio.run(main(executor)) == [1, 2, 4]
            assert list(executor.map(divmod, [7, 9], [2, 4])) == [(3, 1), (2, 1)]
            assert isinstance(executor.submit(divide_one_by, 0).exception(), ZeroDivisionError)

    def test_it_closes_as_any_pool_does(self, pool):
        pool.close()
        pool.join()
        for act in (pool.map, pool.imap, pool.map_async):
            with pytest.raises(ValueError, match="Pool not running"):
                act(square, [1])

    def test_the_client_of_a_task_has_the_arguments_of_a_client(self):
        for name in ("map", "executor"):
            assert [*inspect.signature(getattr(ClientInTask, name)).parameters] == [
                *inspect.signature(getattr(Client, name)).parameters
            ]
        assert isinstance(ClientInTask().pool(2, initializer=square, initargs=(1,)), InlinePool)
        with pytest.raises(AttributeError, match="has no ids, only pool"):
            _ = ClientInTask().ids


class TestErrors:
    def test_the_first_one_ends_a_map_and_the_rest_is_not_begun(self, pool):
        begun = []

        def act(number):
            begun.append(number)
            return 1 / number

        with pytest.raises(ZeroDivisionError):
            pool.map(act, [1, 0, 2])
        assert begun == [1, 0]

    def test_they_can_be_values(self, pool):
        assert [type(v) for v in pool.map(divide_one_by, [1, 0], on_error="return")] == [float, ZeroDivisionError]
        assert [type(v) for v in pool.imap(divide_one_by, [1, 0], on_error="return")] == [float, ZeroDivisionError]

    def test_an_iterator_goes_on_after_one_and_reads_nothing_ahead(self, pool):
        read = []
        results = pool.imap(divide_one_by, (read.append(number) or number for number in [1, 0, 2]))
        assert (next(results), read) == (1, [1])
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert next(results) == 0.5
        with pytest.raises(StopIteration):
            next(results)

    def test_what_ends_the_task_is_no_error_of_an_item(self, pool):
        def act(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pool.map(act, [1, 2], on_error="return")


class TestSaying:
    def test_it_says_so_once(self, monkeypatch):
        monkeypatch.setattr(nested, "_SAID", set())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for _ in range(3):
                clusterctl.Pool(2).map(square, [1])
                list(clusterctl.Pool(2).imap(square, [1]))
        assert [str(warning.message).split(",")[0] for warning in said] == ["a pool in a task works in that task"]


class TestTravelling:
    def test_a_pool_of_the_laptop_is_one_of_the_task_there(self, make_pool):
        pool, _ = make_pool(1)
        there = pickle.loads(cloudpickle.dumps(lambda numbers: pool.map(square, numbers)))
        assert there([1, 2]) == [1, 4]
        assert isinstance(pickle.loads(pickle.dumps(pool)), InlinePool)
        assert isinstance(pickle.loads(pickle.dumps(InlinePool())), InlinePool)

    def test_so_is_a_client_and_an_executor(self):
        client = Unconnected()
        assert type(pickle.loads(cloudpickle.dumps(client))) is ClientInTask
        executor = pickle.loads(cloudpickle.dumps(client.executor()))
        assert executor.submit(square, 3).result() == 9

    def test_a_map_whose_function_maps_has_its_values(self, make_pool):
        pool, _ = make_pool(2)
        assert pool.map(lambda n: sum(pool.map(square, range(n))), [2, 3]) == [1, 5]

    def test_every_pool_has_the_same_methods(self):
        assert PoolMethods.map is InlinePool.map
