"""What runs inside an engine: a chunk, its budget, and the replies that are kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import types
import zlib
from pathlib import Path

import cloudpickle
import pytest

from clusterctl.compute import channel

from ...support.engine_program import SOURCE, load, read, request


@pytest.fixture
def engine():
    return load()


def test_what_is_not_done_when_the_budget_is_spent_is_left(engine):
    done, values, _, _, _ = read(engine.run(request(abs, [-1, -2, -3], budget_s=0.0)))
    assert (done, values) == (1, [1])


def test_the_same_chunk_is_answered_from_memory(engine, tmp_path):
    def note(number, log=str(tmp_path / "log")):
        with Path(log).open("a") as file:
            file.write("x")
        return number

    first = engine.run(request(note, [1]))
    assert engine.run(request(note, [1])) == first
    assert (tmp_path / "log").read_text() == "x"


def test_what_is_acknowledged_is_forgotten(engine):
    engine.run(request(abs, [1], "c1"))
    engine.run(request(abs, [1], "c2", acknowledged=["c1"]))
    assert list(engine.ENGINE.replies) == ["c2"]


class Number(int):
    """A number that says more of itself than a plain one."""


@pytest.mark.parametrize("values", [[], [None, True, 3, -0.5, 10**40], [Number(3)], ["a", b"b", (1,)]])
def test_values_come_as_they_are(engine, values):
    done, came, failures, _, _ = read(engine.run(request(lambda value: value, values)))
    assert (done, came, failures) == (len(values), values, [])
    assert [type(value).__name__ for value in came] == [type(value).__name__ for value in values]


def test_plain_numbers_have_a_limit_as_well(engine):
    _, came, failures, _, _ = read(engine.run(request(lambda value: 1 << value, [8, 80_000], most_bytes=1000)))
    assert came == [256, None]
    assert [(place, kind) for place, (_, kind, _, _) in failures] == [(1, "too large")]


def test_the_oldest_replies_make_room_and_the_newest_stays_however_big(engine, monkeypatch):
    monkeypatch.setattr(engine, "KEPT_BYTES", 1000)
    for number in range(5):
        engine.run(request(bytes, [400], f"c{number}"))
    assert list(engine.ENGINE.replies) == ["c3", "c4"]
    engine.run(request(bytes, [4000], "big"))
    assert list(engine.ENGINE.replies) == ["big"]


def test_few_functions_are_kept(engine, monkeypatch):
    monkeypatch.setattr(engine, "FUNCTIONS", 2)
    for number in range(5):
        engine.run(request(abs, [1], f"c{number}", digest=f"f{number}"))
    assert list(engine.ENGINE.functions) == ["f3", "f4"]


def test_a_task_knows_that_it_is_one_and_the_engine_forgets_it(engine):
    _, values, _, _, _ = read(engine.run(request(os.getenv, [engine.NESTED])))
    assert values == ["1"]
    assert engine.NESTED not in os.environ


def test_another_python_is_told_and_nothing_is_read(engine):
    assert read(engine.run(request(abs, [1], python=(2, 7), function=b"no pickle")))[3] == "python"


def test_what_cannot_be_read_fails_as_a_whole(engine):
    _, _, [(place, (_, kind, _, _))], _, _ = read(engine.run(request(abs, [1], function=b"no pickle")))
    assert (place, kind) == (-1, "_pickle.UnpicklingError")


def test_an_error_whose_text_fails_has_a_text(engine):
    class OddError(Exception):
        def __str__(self):
            raise ValueError

    def act(_):
        raise OddError

    _, _, [(_, (_, kind, text, _))], _, _ = read(engine.run(request(act, [1])))
    assert kind.endswith("OddError")
    assert text == "its text cannot be made"


def test_the_traceback_begins_with_the_users_function(engine):
    def act(number):
        return 1 / number

    _, _, [(_, (_, _, _, traceback))], _, _ = read(engine.run(request(act, [0])))
    assert "chunks.py" not in traceback
    assert "in act" in traceback


def test_an_engine_without_cloudpickle_gets_the_clients_own(allow_subprocess):
    """In a Python of its own, in which none can be found."""
    code = """
import importlib.machinery, json, sys, types, zlib
import zmq.utils.z85  # which each engine has
sys.path = [path for path in sys.path if "site-packages" not in path]
program = types.ModuleType("engine")
values = json.load(sys.stdin)
exec(values["source"], program.__dict__)
program.load_package("cloudpickle", values["texts"])
import cloudpickle
more = 3
print(cloudpickle.loads(cloudpickle.dumps(lambda number: number + more))(4), cloudpickle.__version__)
program.load_package("cloudpickle", {"__init__": "raise ValueError"})
"""
    texts = json.loads(zlib.decompress(channel._pickler()))
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        input=json.dumps({"source": SOURCE, "texts": texts}),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"7 {cloudpickle.__version__}\n", "")


class TestTakingBack:
    @pytest.fixture(autouse=True)
    def _interruptible(self):
        """Whoever began this may have it ignored."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    def test_what_has_not_begun_is_left_out_and_what_is_done_is_not_asked_for(self, engine):
        engine.run(request(abs, [1], "done"))
        kernel = types.SimpleNamespace(aborted=set())
        engine._kernel = lambda: kernel
        assert engine.take_back(["done", "waits"], ["m1", "m2"], interrupt=True) == {"ran": [], "waited": ["waits"]}
        assert kernel.aborted == {"m2"}

    def test_one_that_the_kernel_has_taken_up_already_does_not_begin(self, engine, tmp_path):
        engine.take_back(["c1"], ["m1"], interrupt=True)
        assert read(engine.run(request(Path.touch, [tmp_path / "began"])))[3] == "cancelled"
        assert not (tmp_path / "began").exists()

    def test_few_of_those_are_kept(self, engine, monkeypatch):
        monkeypatch.setattr(engine, "TAKEN_BACK", 2)
        engine.take_back(["a", "b", "c"], ["1", "2", "3"], interrupt=False)
        assert list(engine.ENGINE.taken_back) == ["b", "c"]

    def test_the_one_that_runs_is_interrupted_if_that_is_asked_for(self, engine):
        def act(_):
            import time

            assert engine.take_back(["c1"], ["m1"], interrupt=False) == {"ran": ["c1"], "waited": []}
            assert engine.take_back(["c1"], ["m1"], interrupt=True) == {"ran": ["c1"], "waited": []}
            time.sleep(10)

        engine.ENGINE.functions["own"] = act
        assert read(engine.run(request(None, [1], digest="own")))[3] == "cancelled"
        assert engine.ENGINE.running == ""

    def test_who_did_not_hear_of_it_before_a_long_call_is_woken(self, engine, monkeypatch):
        sent, woken = [], threading.Event()

        def note(_, number):
            sent.append(number)
            if number == engine.WAKING:
                woken.set()

        def act(_):
            engine.take_back(["c1"], ["m1"], interrupt=True)
            assert woken.wait(10)
            raise KeyboardInterrupt

        monkeypatch.setattr(signal, "pthread_kill", note)
        monkeypatch.setattr(engine, "WAKE_S", 0.001)
        engine.ENGINE.functions["own"] = act
        assert read(engine.run(request(None, [1], digest="own")))[3] == "cancelled"
        assert sent[:2] == [signal.SIGINT, engine.WAKING]

    def test_an_interrupt_that_is_not_ours_is_an_error_of_the_item(self, engine):
        def act(_):
            raise KeyboardInterrupt

        _, _, [(_, (_, kind, text, _))], _, _ = read(engine.run(request(act, [1])))
        assert (kind, text) == ("KeyboardInterrupt", "interrupted by somebody else")
