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
    before = signal.getsignal(signal.SIGALRM)
    yield load()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


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
