"""What an item may take in an engine."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys

import pytest

from ...support.engine_program import SOURCE, load, read, request


@pytest.fixture
def engine():
    """Who has a use for the same signal gets it back: as pytest-timeout here."""
    before, is_set = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0
    yield load()
    assert signal.getsignal(signal.SIGALRM) == before
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == is_set


def sleep_if_asked(seconds):
    import time

    time.sleep(seconds)
    return seconds


def kinds(failures):
    return [(place, kind, text) for place, (_, kind, text, _) in failures]


class TestTime:
    def test_an_item_that_takes_too_long_fails_by_its_number_and_the_others_go_on(self, engine):
        asked = request(sleep_if_asked, [0, 600, 0], first=40, timeout_s=0.05, stop=False)
        done, values, failures, _, _ = read(engine.run(asked))
        assert (done, values) == (3, [0, None, 0])
        assert kinds(failures) == [(1, "TimeoutError", "item 41 took longer than 0.05 s")]

    def test_its_traceback_says_where_it_was(self, engine):
        _, _, [(_, (pickled, _, _, traceback))], _, _ = read(engine.run(request(sleep_if_asked, [600], timeout_s=0.05)))
        assert type(pickle.loads(pickled)) is TimeoutError
        assert "in sleep_if_asked" in traceback
        assert "_fire" not in traceback

    def test_it_fails_though_it_forgives_every_error(self, engine):
        def forgive(times):
            import contextlib
            import time

            for _ in range(times):
                with contextlib.suppress(BaseException):
                    time.sleep(600)
            raise LookupError

        _, _, failures, _, _ = read(engine.run(request(forgive, [2], timeout_s=0.05)))
        assert kinds(failures) == [(0, "TimeoutError", "item 0 took longer than 0.05 s")]

    def test_many_quick_items_take_longer_together(self, engine):
        asked = request(sleep_if_asked, [0.02] * 10, timeout_s=0.15, stop=False)
        done, values, failures, _, _ = read(engine.run(asked))
        assert (done, values, failures) == (10, [0.02] * 10, [])

    def test_an_error_in_time_is_that_of_the_item(self, engine):
        _, _, failures, _, _ = read(engine.run(request(lambda number: 1 / number, [0], timeout_s=60)))
        assert kinds(failures) == [(0, "ZeroDivisionError", "division by zero")]

    def test_a_chunk_that_is_cancelled_is_cancelled(self, engine):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began this may have it ignored

        def act(_):
            import time

            engine.take_back(["c1"], ["m1"], interrupt=True)
            time.sleep(600)

        engine.ENGINE.functions["own"] = act
        assert read(engine.run(request(None, [1], digest="own", timeout_s=60)))[3] == "cancelled"

    def test_c_code_that_does_not_come_back_ends_the_engine_which_says_where_it_was(self, allow_subprocess):
        """It holds Python's lock, and looks for no signals: no thread of Python runs."""
        code = """
import json, sys
program = {"__name__": "engine"}
exec(json.load(sys.stdin), program)
program["GRACE_S"] = 0.1
def hold():
    sum(range(10**15))
with program["ItemLimit"](0.1) as limit:
    limit.call(hold, 0)
print("came back")
"""
        done = subprocess.run([sys.executable, "-c", code], input=json.dumps(SOURCE), capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Timeout (0:00:00.2")
        assert "in hold" in done.stderr


class TestBytes:
    def test_a_value_that_is_too_large_fails_alone_before_it_is_pickled_as_a_whole(self, engine):
        asked = request(bytes, [10, 10_000_000, 20], most_bytes=2**20, stop=False)
        done, values, failures, _, _ = read(engine.run(asked))
        assert (done, values) == (3, [bytes(10), None, bytes(20)])
        assert kinds(failures) == [(1, "too large", "its value has more than 1 MiB")]

    def test_values_that_are_too_large_together_say_how_to_part_them(self, engine):
        asked = request(lambda size: [[bytes(size)]], [700_000, 700_000], most_bytes=2**20, stop=False)
        _, values, failures, _, _ = read(engine.run(asked))
        assert (len(values[0][0][0]), values[1]) == (700_000, None)
        assert [(place, kind) for place, kind, _ in kinds(failures)] == [(1, "too large")]
        assert kinds(failures)[0][2].endswith("have more than 1 MiB: chunksize=1 parts them")

    @pytest.mark.parametrize("make", [bytes, bytearray, lambda size: [bytes(size)]])
    def test_a_chunk_ends_when_its_values_are_large(self, engine, monkeypatch, make):
        monkeypatch.setattr(engine, "ENOUGH_BYTES", 1_000_000)
        done, values, failures, _, _ = read(engine.run(request(make, [300_000] * 10)))
        assert (done, len(values), failures) == (4, 4, [])

    def test_an_object_that_does_not_tell_its_size_is_no_error(self, engine):
        class Odd:
            nbytes = "many"

            def __sizeof__(self):
                raise LookupError

        assert engine.guess_bytes(Odd()) == 0

    def test_an_exception_that_is_too_large_travels_as_text_that_is_cut(self, engine, monkeypatch):
        monkeypatch.setattr(engine, "EXCEPTION_BYTES", 1_000)

        def act(size):
            raise ValueError("x" * size)

        _, _, [(_, (pickled, kind, text, traceback))], _, _ = read(engine.run(request(act, [1_000_000])))
        assert (pickled, kind, len(text), len(traceback)) == (b"", "ValueError", engine.TEXT, engine.TEXT)


class TestFunctions:
    def test_one_that_was_sent_before_is_not_sent_again(self, engine):
        engine.run(request(abs, [-1], "c1", digest="abs"))
        assert read(engine.run(request(abs, [-2], "c2", digest="abs", function=b"")))[1] == [2]

    def test_one_that_is_not_kept_is_asked_for(self, engine):
        assert read(engine.run(request(abs, [-1], digest="abs", function=b"")))[3] == "function"
