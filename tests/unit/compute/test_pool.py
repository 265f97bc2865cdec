"""multiprocessing's Pool on engines: names, order, errors, and what is promised besides."""

from __future__ import annotations

import inspect
import itertools
import multiprocessing
import multiprocessing.pool
import operator
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from clusterctl.compute.failures import CrashError, NoEnginesError, TaskError
from clusterctl.compute.pool import Options, Pool


def square(number):
    return number * number


def divide_one_by(number):
    return 1 / number


class TestNames:
    @pytest.mark.parametrize("name", [name for name in vars(multiprocessing.pool.Pool) if not name.startswith("_")])
    def test_each_public_method_of_multiprocessing_is_here_with_its_positions(self, name):
        theirs = getattr(multiprocessing.pool.Pool, name)
        if isinstance(theirs, staticmethod) or name in {"Process"}:
            return
        places = [p.name for p in inspect.signature(theirs).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        ours = [
            p.name
            for p in inspect.signature(getattr(Pool, name)).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        assert ours == places

    @pytest.mark.parametrize("name", [n for n in vars(multiprocessing.pool.AsyncResult) if not n.startswith("_")])
    def test_so_is_each_of_its_results(self, make_pool, name):
        pool, _ = make_pool()
        assert hasattr(pool.apply_async(square, (1,)), name)


class TestMaps:
    def test_values_come_in_order(self, make_pool):
        pool, _ = make_pool()
        assert pool.map(square, range(10_000)) == [number * number for number in range(10_000)]

    def test_an_empty_one_is_done_at_once(self, make_pool):
        pool, channel = make_pool(0)
        assert pool.map(square, []) == []
        assert channel.requests == []

    def test_the_talks_lines(self, make_pool):
        pool, _ = make_pool(4)
        assert pool.map(type, [1, 2.0, "3"]) == [int, float, str]
        assert pool.map_async(square, range(10)).get() == [number**2 for number in range(10)]

    def test_the_other_ways_to_call(self, make_pool):
        pool, _ = make_pool()
        assert pool.apply(divmod, (7, 3)) == (2, 1)
        assert pool.apply(int, ("11",), {"base": 2}) == 3
        assert pool.starmap(operator.sub, [(5, 3), (2, 1)]) == [2, 1]
        assert list(pool.imap(square, range(100))) == [number**2 for number in range(100)]
        assert sorted(pool.imap_unordered(square, range(100))) == [number**2 for number in range(100)]

    def test_closures_and_lambdas_travel(self, make_pool):
        pool, _ = make_pool()
        more = 5
        assert pool.map(lambda number: number + more, [1, 2]) == [6, 7]

    def test_a_chunk_has_at_most_as_many_items_as_were_asked_for(self, make_pool):
        pool, channel = make_pool()
        pool.map(square, range(50), chunksize=2)
        assert len(channel.requests) >= 25

    def test_callbacks_are_called_with_the_values_or_the_error(self, make_pool):
        pool, _ = make_pool()
        heard = []
        pool.map_async(square, [1, 2], callback=heard.append).wait(10)
        pool.map_async(divide_one_by, [0], error_callback=heard.append).wait(10)
        assert heard[0] == [1, 4]
        assert isinstance(heard[1], ZeroDivisionError)

    def test_a_callback_that_fails_spoils_nothing_and_is_told(self, make_pool, monkeypatch):
        pool, _ = make_pool()
        told = []
        monkeypatch.setattr(threading, "excepthook", told.append)
        assert pool.map_async(square, [3], callback=lambda values: values.no_such_thing).get(10) == [9]
        assert [report.exc_type for report in told] == [AttributeError]

    def test_the_initializer_runs_once_in_each_engine(self, make_pool):
        import os

        calls = "/".join(["clusterctl", "calls"])
        pool, channel = make_pool(
            2, initializer=lambda name: os.environ.__setitem__(name, os.environ.get(name, "") + "x"), initargs=(calls,)
        )
        pool.map(square, range(100), chunksize=5)
        assert len(os.environ.pop(calls)) <= len(channel.by_uuid)

    def test_so_many_engines_as_were_asked_for_work(self, make_pool):
        pool, channel = make_pool(4, processes=2)
        pool.map(square, range(100), chunksize=1)
        assert {uuid for uuid, _ in channel.requests} == {"uuid0", "uuid1"}

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"processes": 0}, "Number of processes must be at least 1"),
            ({"maxtasksperchild": 0}, "maxtasksperchild must be a positive int or None"),
            ({"maxtasksperchild": 1.5}, "maxtasksperchild must be a positive int or None"),
            ({"initializer": 3}, "initializer must be a callable"),
        ],
    )
    def test_what_multiprocessing_refuses_is_refused_with_its_words(self, wrong, error):
        with pytest.raises((ValueError, TypeError), match=error):
            Options(**wrong)

    def test_a_pool_that_was_closed_takes_nothing_new(self, make_pool):
        pool, _ = make_pool()
        with pytest.raises(ValueError, match="Pool is still running"):
            pool.join()
        result = pool.map_async(square, range(100))
        pool.close()
        pool.join()
        assert result.get() == [number**2 for number in range(100)]
        with pytest.raises(ValueError, match="Pool not running"):
            pool.map(square, [1])


class TestErrors:
    def test_a_tasks_own_exception_is_raised_with_its_traceback_and_its_place(self, make_pool):
        pool, _ = make_pool()
        with pytest.raises(ZeroDivisionError) as caught:
            pool.map(divide_one_by, [1, 0, 2])
        assert "divide_one_by" in str(caught.value.__cause__)
        if hasattr(caught.value, "__notes__"):
            assert caught.value.__notes__[0].startswith("item 1, on engine ")

    def test_errors_can_be_values(self, make_pool):
        pool, _ = make_pool()
        one, error, half = pool.map(divide_one_by, [1, 0, 2], on_error="return")
        assert (one, type(error), half) == (1, ZeroDivisionError, 0.5)

    def test_an_iterator_goes_on_after_an_error(self, make_pool):
        pool, _ = make_pool()
        results = pool.imap(divide_one_by, [1, 0, 2])
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert next(results) == 0.5
        with pytest.raises(StopIteration):
            next(results)

    @pytest.mark.parametrize("ends", [SystemExit, KeyboardInterrupt])
    def test_what_would_end_a_program_is_an_error_of_its_item(self, make_pool, ends):
        def act(number):
            raise ends(number)

        pool, _ = make_pool()
        with pytest.raises(ends):
            pool.map(act, [1])

    def test_an_exception_that_cannot_be_read_is_told_as_text(self, make_pool):
        class TwoError(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        def act(number):
            raise TwoError(number, 2)

        pool, _ = make_pool()
        with pytest.raises(TaskError, match=r"TwoError: 1 and 2"):
            pool.map(act, [1])

    def test_a_value_that_cannot_be_sent_fails_alone(self, make_pool):
        pool, _ = make_pool()
        values = pool.map(lambda number: threading.Lock() if number == 1 else number, range(3), on_error="return")
        assert (values[0], values[2]) == (0, 2)
        assert isinstance(values[1], multiprocessing.pool.MaybeEncodingError)

    def test_what_cannot_be_sent_is_named_before_anything_is(self, make_pool):
        pool, channel = make_pool()
        lock = threading.Lock()
        with pytest.raises(TypeError, match=r"the function .* cannot be sent to engines: .*lock"):
            pool.map(lambda number: lock, [1])
        assert channel.requests == []

    def test_an_item_that_cannot_be_sent_is_named(self, make_pool):
        pool, _ = make_pool()
        with pytest.raises(TypeError, match="item 1 cannot be sent to engines"):
            pool.map(id, [1, threading.Lock()])

    def test_an_input_that_fails_fails_behind_the_results_of_what_came_before(self, make_pool):
        def items():
            yield from range(3)
            raise LookupError("no more")

        pool, _ = make_pool()
        for act in (pool.imap, pool.imap_unordered):
            results = act(square, items())
            assert sorted(next(results) for _ in range(3)) == [0, 1, 4]
            for _ in range(2):
                with pytest.raises(LookupError, match="no more"):
                    next(results)

    def test_without_engines_it_ends_in_time_and_says_so(self, make_pool):
        pool, _ = make_pool(0, wait_s=0.2)
        with pytest.raises(NoEnginesError, match="no engine was there"):
            pool.map(square, [1])

    def test_another_python_is_told_apart(self, make_pool, monkeypatch):
        pool, channel = make_pool(1)
        send = channel.send

        def send_as_another(uuid, request, hear):
            message, future = send(uuid, request, hear)
            request["python"] = (2, 7)
            return message, future

        channel.by_uuid["uuid0"].before = lambda request: request.update(python=(2, 7))
        monkeypatch.setattr(channel, "send", send_as_another)
        with pytest.raises(Exception, match="which cannot read what another Python sends"):
            pool.map(square, [1])

    def test_with_a_client_that_was_closed_it_says_so(self, make_pool):
        pool, channel = make_pool(1)
        assert pool.map(square, [2]) == [4]
        channel.close()
        for _ in range(3):  # while the thread ends, and afterwards
            with pytest.raises(NoEnginesError, match="the client was closed"):
                pool.map(square, [2])

    def test_it_ends_when_the_client_is_closed_meanwhile(self, make_pool):
        pool, channel = make_pool(1)
        held = threading.Event()
        channel.by_uuid["uuid0"].before = lambda request: held.wait(10)
        result = pool.map_async(square, range(10))
        channel.close()
        with pytest.raises(NoEnginesError, match="the client was closed"):
            result.get(10)
        held.set()


class TestLookAhead:
    def test_no_more_is_read_than_is_asked_for(self, make_pool):
        pool, _ = make_pool()
        read = []
        results = pool.imap(square, (read.append(number) or number for number in itertools.count()), buffersize=10)
        assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
        assert len(read) <= 5 + 10 + 1
        pool.terminate()


class TestDelivery:
    def test_an_answer_that_was_lost_is_sent_again_and_nothing_runs_twice(self, make_pool, tmp_path):
        def note(number, log=str(tmp_path / "log")):
            with Path(log).open("a") as file:
                file.write(f"{number}\n")
            return number

        pool, channel = make_pool(2)
        channel.by_uuid["uuid0"].loses_answers = 3
        result = pool.map_async(note, range(100), chunksize=10)
        assert result.get(20) == list(range(100))
        assert result.report.resent == 3
        assert result.report.rerun_items == set()
        assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(100))

    def test_what_an_engine_had_goes_to_another_one_and_is_named(self, make_pool):
        pool, channel = make_pool(2)
        began, gone = threading.Event(), threading.Event()

        def end(request):
            began.set()
            gone.wait(10)

        channel.by_uuid["uuid0"].before = end
        result = pool.map_async(square, range(100), chunksize=10)
        assert began.wait(10)
        channel.end_engine("uuid0")
        gone.set()
        assert result.get(20) == [number**2 for number in range(100)]
        assert result.report.lost_engines == {"uuid0"}
        assert len(result.report.rerun_items) >= 10

    def test_an_item_that_ends_engines_fails_alone(self, make_pool):
        pool, channel = make_pool(8)

        def end_its_engine(uuid):
            def end(request):
                import pickle

                if 17 in pickle.loads(request["items"]):
                    channel.end_engine(uuid)

            return end

        for uuid, engine in channel.by_uuid.items():
            engine.before = end_its_engine(uuid)
        values = pool.map(square, range(40), chunksize=10, on_error="return")
        assert [place for place, value in enumerate(values) if isinstance(value, CrashError)] == [17]
        assert str(values[17]) == "item 17 has ended 3 engines, one after the other"
        assert len(channel.by_uuid) >= 4

    def test_an_item_that_ends_its_engine_is_told_how(self, make_pool):
        pool, channel = make_pool(3)
        for uuid, engine in channel.by_uuid.items():
            channel.ends[uuid] = "Fatal Python error: Aborted"
            engine.before = lambda _request, uuid=uuid: channel.end_engine(uuid)
        (error,) = pool.map(square, [1], on_error="return", max_crashes=1)
        assert str(error) == "item 0 has ended 1 engine: Fatal Python error: Aborted"

    def test_an_engine_that_comes_later_has_its_share(self, make_pool):
        pool, channel = make_pool(1)
        held = threading.Event()
        channel.by_uuid["uuid0"].before = lambda request: held.wait(10)
        result = pool.map_async(square, range(100), chunksize=1)
        channel.add_engine()
        while not any(uuid != "uuid0" for uuid, _ in channel.requests):
            result.wait(0.01)
        held.set()
        assert result.get(20) == [number**2 for number in range(100)]


class TestCancel:
    def test_who_waits_gets_an_error_at_once_and_what_waits_is_not_begun(self, make_pool):
        pool, channel = make_pool(1)
        held, began = threading.Event(), threading.Event()
        channel.by_uuid["uuid0"].before = lambda request: (began.set(), held.wait(10))
        result = pool.map_async(square, range(100), chunksize=1)
        assert began.wait(10)
        result.cancel()
        with pytest.raises(CancelledError):
            result.get(10)
        held.set()
        assert len(channel.requests) == 1
        assert pool.map(square, [3]) == [9]

    def test_terminate_ends_all_and_join_waits_for_that(self, make_pool):
        pool, channel = make_pool(1)
        held = threading.Event()
        channel.by_uuid["uuid0"].before = lambda request: held.wait(10)
        results = [pool.map_async(square, range(10)) for _ in range(3)]
        with pool:
            pass
        pool.join()
        held.set()
        for result in results:
            with pytest.raises(CancelledError):
                result.get(10)
