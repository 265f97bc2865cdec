"""What is too large for a message, and what goes to an engine only once."""

from __future__ import annotations

import pickle
import threading
import weakref

import pytest

from clusterctl.clock import Deadline
from clusterctl.compute import payload, work
from clusterctl.compute.engines import receipts
from clusterctl.compute.failures import TooLargeError


@pytest.fixture(autouse=True)
def _small_messages(monkeypatch):
    for module in (payload, work):
        monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    monkeypatch.setattr(work, "_MESSAGE_BYTES", 100_000)
    monkeypatch.setattr(work, "_ROOM_BYTES", 400_000)
    monkeypatch.setattr(payload.pickle_for_engines, "__kwdefaults__", {"most": 2**20})


class TestValues:
    def test_one_that_is_too_large_fails_by_its_number_with_what_to_do(self, make_pool):
        pool, _ = make_pool()
        values = pool.map(bytes, [1, 2_000_000, 2], on_error="return")
        assert (values[0], values[2]) == (bytes(1), bytes(2))
        assert str(values[1]).startswith("item 1, on engine ")
        assert str(values[1]).endswith(": its value has more than 1 MiB")
        assert "write it to a file" in values[1].remedy

    def test_the_error_can_be_pickled(self):
        error = pickle.loads(pickle.dumps(TooLargeError("item 1: too large")))
        assert (str(error), error.remedy) == ("item 1: too large", TooLargeError("").remedy)

    def test_an_engine_forgets_a_large_reply_at_once(self, make_pool, monkeypatch):
        monkeypatch.setattr(receipts, "_LARGE_BYTES", 1000)
        pool, channel = make_pool(1)
        pool.map(bytes, [10])
        assert channel.acknowledged == []
        pool.map(bytes, [10_000])
        assert len(channel.acknowledged) == 1


class TestSending:
    def test_a_function_that_is_too_large_is_an_error_before_anything_is_sent(self, make_pool):
        pool, channel = make_pool()
        table = bytes(2_000_000)
        with pytest.raises(TooLargeError, match=r"the function .* has more than 1 MiB, and cannot be sent"):
            pool.map(lambda number: table[number], [1])
        assert channel.requests == []

    def test_an_item_that_is_too_large_is_named_and_is_not_sent(self, make_pool):
        pool, channel = make_pool(1)
        with pytest.raises(TooLargeError, match="item 1 has more than 1 MiB, and cannot be sent"):
            pool.map(len, [b"", bytes(2_000_000), b""])
        assert all(len(request["items"]) < 2**20 for _, request in channel.requests)

    def test_items_that_are_not_alike_are_parted(self, make_pool):
        pool, channel = make_pool(1)
        sizes = [1] + [300_000] * 20 + [1] * 20
        assert pool.map(len, [bytes(size) for size in sizes]) == sizes
        assert max(len(request["items"]) for _, request in channel.requests) < 700_000


class TestFunctions:
    def test_each_engine_gets_it_once(self, make_pool):
        pool, channel = make_pool(2)
        table = bytes(10_000)
        for _ in range(2):
            assert pool.map(lambda number: table[number], range(100), chunksize=5) == [0] * 100
        by_engine = {}
        for uuid, request in channel.requests:
            by_engine.setdefault((uuid, request["digest"]), []).append(bool(request["function"]))
        assert all(sent == [True, *[False] * (len(sent) - 1)] for sent in by_engine.values())

    def test_few_are_known_for_ever(self, make_pool, monkeypatch):
        monkeypatch.setattr(work, "_KNOWN_FUNCTIONS", 3)
        pool, _ = make_pool(1)
        for number in range(10):
            assert pool.map(lambda item, number=number: item + number, [1]) == [1 + number]
        (engine,) = pool._dispatcher._crew.working()
        assert len(engine.functions) <= 3

    def test_one_that_has_lost_it_gets_it_again(self, make_pool):
        pool, channel = make_pool(1)
        assert pool.map(abs, [-1]) == [1]
        channel.by_uuid["uuid0"].program.ENGINE.functions.clear()
        assert pool.map(abs, [-2]) == [2]
        assert [bool(request["function"]) for _, request in channel.requests] == [True, False, True]


class TestWhatCannotBeSent:
    @pytest.mark.parametrize(
        ("make", "way"),
        [
            (lambda lock: {"a": [1, lock]}, r"\(\['a'\]\[1\]\)"),
            (lambda lock: type("Config", (), {"__init__": lambda self: setattr(self, "lock", lock)})(), r"\(\.lock\)"),
            (lambda lock: lambda: lock, r"\(its variable lock\)"),
            (lambda lock: lock, "object$"),
        ],
    )
    def test_the_part_is_named(self, make_pool, make, way):
        pool, _ = make_pool()
        with pytest.raises(TypeError, match=f"item 1 cannot be sent to engines: cannot pickle .*lock.*{way}"):
            pool.map(id, [1, make(threading.Lock())])

    def test_a_class_that_says_no_has_its_own_error(self, make_pool):
        class Own:
            def __reduce__(self):
                raise RuntimeError("not me")

        pool, _ = make_pool()
        with pytest.raises(RuntimeError, match="not me"):
            pool.map(id, [Own()])
        assert pool.map(abs, [-1]) == [1]


class Held:
    def __init__(self, number):
        self.number = number


class TestMemory:
    def test_nothing_of_a_map_that_is_over_is_held(self, make_pool, without_gc):
        """Neither items nor values, and without a look for garbage."""
        pool, _ = make_pool(1)
        items = [Held(number) for number in range(10)]
        values = pool.map(lambda item: item, items)
        held = [weakref.ref(thing) for thing in (*items, *values)]
        del items, values
        for _ in Deadline.after(10).polls(0.01):
            if not any(ref() for ref in held):
                break
        assert [ref() for ref in held if ref()] == []
