"""A function with a memory: what is the same value, what is another one, and where it is worked out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from clusterctl.compute import payload
from clusterctl.compute.calls.memory import LOCATION, Memory
from clusterctl.compute.faces.nested import ClientInTask

pytest.importorskip("joblib", reason="joblib: it is no part of this environment")


@pytest.fixture
def memory(tmp_path):
    """As it is in a task."""
    return Memory(location=str(tmp_path / "memory"))


@pytest.fixture
def calls(tmp_path):
    """Counts, over processes too."""
    log = tmp_path / "calls"
    log.touch()
    return log


def count(log):
    return len(log.read_text())


class TestValues:
    def test_one_is_worked_out_once(self, memory, calls):
        @memory.cache
        def add(left, right=1):
            with calls.open("a") as file:
                file.write("x")
            return left + right

        assert [add(1), add(1, 1), add(left=1), add(right=1, left=1)] == [2, 2, 2, 2]
        assert count(calls) == 1
        assert add(2) == 3
        assert count(calls) == 2
        assert add.__name__ == "add"

    def test_an_argument_can_make_no_difference(self, memory, calls):
        @memory.cache(ignore=["verbose"])
        def add(left, *, verbose=False):
            with calls.open("a") as file:
                file.write("x")
            return left, verbose

        assert [add(1), add(1, verbose=True)] == [(1, False), (1, False)]
        assert count(calls) == 1
        with pytest.raises(ValueError, match="has no argument 'loud' to ignore"):
            memory.cache(lambda: 0, ignore=["loud"])

    def test_an_exception_is_not_remembered(self, memory, calls):
        @memory.cache
        def fail():
            with calls.open("a") as file:
                file.write("x")
            raise LookupError

        for _ in range(2):
            with pytest.raises(LookupError):
                fail()
        assert count(calls) == 2

    def test_a_function_whose_text_or_closure_is_another_is_another_one(self, memory):
        def multiply_by(factor):
            @memory.cache
            def multiply(number):
                return number * factor

            return multiply

        def multiply(number):
            return number * 4

        assert [multiply_by(2)(1), multiply_by(3)(1), multiply_by(2)(1)] == [2, 3, 2]
        assert memory.cache(multiply)(1) == 4

    def test_one_that_was_typed_in_is_known_by_its_code(self, memory):
        texts = ("lambda x: x + 1", "lambda x: x + 2", "lambda x: x + 1")
        functions = [memory.cache(eval(text)) for text in texts]
        assert [function(0) for function in functions] == [1, 2, 1]
        assert functions[0]._name == functions[2]._name != functions[1]._name

    def test_what_has_no_text_is_refused(self, memory):
        with pytest.raises(TypeError, match="has no text to remember it by"):
            memory.cache(divmod)

    def test_one_that_calls_itself(self, memory):
        @memory.cache
        def fibonacci(n):
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

        assert fibonacci(60) == 1548008755920

    def test_values_can_be_forgotten(self, memory, calls):
        def note(_):
            with calls.open("a") as file:
                file.write("x")

        cached = memory.cache(note)
        for forget in (cached.clear, memory.clear, lambda: memory.reduce_size(bytes_limit=0)):
            before = count(calls)
            cached(1)
            cached(1)
            assert count(calls) == before + 1
            forget()

    def test_nobody_else_can_read_them(self, memory):
        memory.cache(lambda: 0)()
        assert Path(memory.location).stat().st_mode & 0o777 == 0o700


class TestEngines:
    def test_outside_of_a_task_an_engine_works_it_out(self, make_pool, tmp_path):
        pool, channel = make_pool(1)
        memory = Memory(pool.apply, str(tmp_path / "memory"))

        @memory.cache
        def square(number):
            return number * number

        assert [square(3), square(3)] == [9, 9]
        assert len(channel.requests) == 2
        assert pool.map(square, [3, 4]) == [9, 16]
        square.clear()
        memory.clear()

    def test_an_engine_needs_no_clusterctl(self, allow_subprocess, tmp_path, calls):
        """Two of them at once, which work out the same values."""

        def work(number, log=str(calls)):
            with Path(log).open("a") as file:
                file.write("x")
            return [number] * 10_000

        cached = Memory(lambda *_: None, str(tmp_path / "memory")).cache(work)
        pickled = payload.pickle_for_engines(cached, "it")
        code = """
import pickle, sys
sys.modules["clusterctl"] = None
cached = pickle.load(sys.stdin.buffer)
for number in range(30):
    assert cached(number) == [number] * 10_000
"""
        command = [sys.executable, "-W", "error", "-c", code]
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
        engines = [subprocess.Popen(command, **pipes) for _ in range(2)]
        for engine in engines:  # both begin before one has ended
            engine.stdin.write(pickled)
            engine.stdin.flush()
        assert [engine.communicate(timeout=60)[1] for engine in engines] == [b"", b""]
        assert 30 <= count(calls) <= 60
        before = count(calls)
        subprocess.run(command, input=pickled, check=True)
        assert count(calls) == before

    def test_without_joblib_it_says_what_to_add(self, memory, monkeypatch):
        monkeypatch.setitem(sys.modules, "joblib", None)
        with pytest.raises(ModuleNotFoundError, match=r"add joblib to PACKAGES of .plugin packages. in the config"):
            memory.cache(lambda: 0)()

    def test_a_task_has_the_same_memory(self):
        assert ClientInTask().memory.location == LOCATION
        assert pickle.loads(pickle.dumps(Memory(print, "here"))).run(abs, -1) == 1

    def test_joblib_is_loaded_when_it_is_used(self, allow_subprocess):
        code = "import sys, clusterctl.compute.client; print('joblib' in sys.modules, 'numpy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
