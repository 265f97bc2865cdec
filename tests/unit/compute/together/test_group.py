"""What members of a group exchange, over real lines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ....support.members import load, together

pytestmark = pytest.mark.usefixtures("allow_loopback")

LEAVES = [2.0, 0.5, 1.1, 3.2, 0.9, 1.0]
"""Of the talk's tree."""
DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", ">i4", ">f8"]


@pytest.mark.parametrize("fan_in", [1, 2, 3, 6])
def test_the_talks_tree_gives_each_member_the_mean(fan_in):
    values = together(6, lambda group: group.allreduce(LEAVES[group.rank], "mean"), fan_in=fan_in)
    assert values == [pytest.approx(1.45)] * 6
    assert len(set(values)) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_each_operation_has_the_value_of_all(size):
    def act(group):
        number = group.rank + 1
        return [group.allreduce(number, op) for op in ("sum", "mean", "min", "max", "prod")]

    numbers = range(1, size + 1)
    expected = [sum(numbers), sum(numbers) / size, 1, size, math.prod(numbers)]
    assert together(size, act) == [expected] * size


def test_arrays_of_every_numeric_type_are_calculated_as_numpy_does():
    def act(group):
        outcomes = {}
        for name in DTYPES:
            own = (np.arange(6).reshape(2, 3) % 2 + group.rank).astype(name)
            for op in ("sum", "mean", "max"):
                if not (op == "max" and own.dtype.kind == "c"):
                    outcomes[name, op] = group.allreduce(own, op)
        return outcomes

    outcomes = together(3, act)
    for (name, op), value in outcomes[0].items():
        parts = np.stack([(np.arange(6).reshape(2, 3) % 2 + rank).astype(name) for rank in range(3)])
        expected = getattr(parts, op)(axis=0)
        assert value.dtype == expected.dtype.newbyteorder("="), (name, op)
        np.testing.assert_allclose(value, expected, rtol=1e-3)
    for other in outcomes[1:]:
        for key, value in other.items():
            assert value.tobytes() == outcomes[0][key].tobytes()


@pytest.mark.parametrize("make", [np.asfortranarray, np.ascontiguousarray, lambda a: a[::2, ::-1], np.transpose])
def test_arrays_of_any_order_come_out_as_they_came(make):
    def act(group):
        own = make(np.arange(24.0).reshape(4, 6) + group.rank)
        return group.allreduce(own), own

    for total, own in together(3, act):
        base = make(np.arange(24.0).reshape(4, 6))
        np.testing.assert_array_equal(total, 3 * base + 3)
        assert total.flags.f_contiguous == own.flags.f_contiguous or not own.flags.contiguous
        assert own[0, 0] in (base[0, 0] + rank for rank in range(3)), "an argument was written to"


def test_lists_dicts_and_empty_arrays_go_as_one():
    def act(group):
        value = {
            "coef": [np.ones((2, 2)), np.empty((0, 3))],
            "count": (group.rank, 2.5),
            "z": 1 + 2j,
            "n": np.float32(2),
        }
        return group.allreduce(value)

    for value in together(4, act):
        np.testing.assert_array_equal(value["coef"][0], np.full((2, 2), 4.0))
        assert value["coef"][1].shape == (0, 3)
        assert (value["count"], value["z"], value["n"]) == ((6, 10.0), 4 + 8j, 8)
        assert type(value["n"]) is np.float32


def test_large_arrays_go_in_pieces_and_each_time_to_the_same_bits():
    def act(group):
        own = np.random.default_rng(group.rank).standard_normal(700_001)
        return [group.allreduce(own).tobytes() for _ in range(2)]

    values = [one for both in together(6, act) for one in both]
    assert len(set(values)) == 1
    expected = sum(np.random.default_rng(rank).standard_normal(700_001) for rank in range(6))
    np.testing.assert_allclose(np.frombuffer(values[0]), expected)


def test_nan_wins_on_all_members():
    def act(group):
        own = math.nan if group.rank == 1 else float(group.rank)
        return [group.allreduce(value, op) for op in ("min", "max") for value in (own, np.full(2, own))]

    for values in together(3, act):
        assert all(np.isnan(value).all() for value in values)


@pytest.mark.parametrize("root", range(5))
def test_whoever_is_the_root_gives_and_gets(root):
    def act(group):
        said = {"a": np.eye(2), "b": [None, "x", b"y", True, 2**100]} if group.rank == root else None
        group.barrier()
        return group.broadcast(said, root), group.gather((group.rank, "r"), root), group.reduce(group.rank, "max", root)

    for rank, (said, gathered, most) in enumerate(together(5, act)):
        np.testing.assert_array_equal(said["a"], np.eye(2))
        assert said["b"] == [None, "x", b"y", True, 2**100]
        assert gathered == ([(other, "r") for other in range(5)] if rank == root else None)
        assert most == (4 if rank == root else None)


def test_a_function_of_two_values_is_an_operation():
    def act(group):
        return group.allreduce({"best": [group.rank % 3, group.rank]}, lambda one, other: max(one, other, key=str))

    assert together(5, act) == [{"best": [2, 2]}] * 5


@pytest.mark.parametrize("value", ["text", None, {1}, object(), np.array(["a"]), np.array([object()]), {"a": "b"}])
def test_what_is_no_number_is_refused_where_it_is(value):
    with pytest.raises(TypeError):
        load().Total(value, "sum", load().Spares())


@pytest.mark.parametrize("value", [{1}, object(), {1: 2}, np.array([object()]), np.zeros(2, [("a", "i4")])])
def test_what_would_need_a_pickle_does_not_travel(value):
    with pytest.raises(TypeError):
        load().pack_value(value)


@pytest.mark.parametrize(
    ("shape", "buffers"),
    [
        (b'["array", "<f8", [2]]', [bytes(8)]),
        (b'["array", "<f8", [-2, -1]]', [bytes(16)]),
        (b'["array", "|O", [1]]', [bytes(8)]),
        (b'["array", "<f8", [1]]', []),
        (b'["plain", 1]', [b"more"]),
        (b'["pickle", 1]', []),
        (b"[[[[", []),
        (b"{}", []),
        (b"\xff", []),
    ],
)
def test_bytes_that_are_not_what_was_said_are_no_value(shape, buffers):
    with pytest.raises(ValueError):  # noqa: PT011  each has words of its own
        load().unpack_value(shape, buffers)


def test_a_result_that_somebody_has_is_not_written_to_by_later_calls():
    def act(group):
        sums = [group.allreduce(np.full(200_000, number)) for number in range(6)]
        parts = [group.allreduce(np.full(200_000, 7.0))[5:9], group.allreduce(np.full(200_000, 8.0))]
        return [int(value[0]) for value in sums], [float(value[1]) for value in parts]

    assert together(3, act) == [([0, 3, 6, 9, 12, 15], [21.0, 24.0])] * 3


def test_memory_of_results_that_nobody_has_is_taken_again():
    spares = load().Spares()
    first = spares.array(200_000, np.dtype("f8"))
    place = first.ctypes.data
    part = first[3:5]
    del first
    other = spares.array(200_000, np.dtype("f8"))
    assert other.ctypes.data != place
    del part
    assert spares.array(400_000, np.dtype("f4")).ctypes.data == place


def test_the_memory_of_a_sum_that_was_dropped_is_free_at_once(without_gc):
    def act(group):
        return len({group.allreduce(np.ones(200_000)).ctypes.data for _ in range(12)}) < 6

    assert together(2, act) == [True, True]
