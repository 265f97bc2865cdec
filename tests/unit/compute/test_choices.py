"""What a pool and its maps may be told."""

from __future__ import annotations

import pytest

from clusterctl.compute.calls.choices import Call, MapOptions, Options, read_map_options
from clusterctl.compute.together.meeting import GroupOptions


def test_a_name_that_no_map_knows_is_refused_and_those_that_it_knows_are_told(make_pool):
    pool, _ = make_pool(0)
    for act in (pool.map, pool.map_async, pool.starmap, pool.imap, pool.imap_unordered, pool.istarmap):
        with pytest.raises(TypeError, match=r"a map has no option 'on_eror'; it has on_error, "):
            act(abs, [1], on_eror="return")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"on_error": "ignore"}, "on_error is raise or return, not 'ignore'"),
        ({"max_crashes": 0}, r"max_crashes must be 1\+, not 0"),
        ({"timeout_s": 0}, "timeout_s is above 0"),
        ({"timeout_s": float("nan")}, "timeout_s is above 0"),
        ({"timeout_s": float("inf")}, "timeout_s is above 0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(wrong, error):
    with pytest.raises(ValueError, match=error):
        read_map_options(wrong)


def test_so_is_a_chunk_without_an_item():
    with pytest.raises(ValueError, match=r"Chunksize must be 1\+, not 0"):
        Call(abs, most=0)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Options(processes=2.5), r"processes must be a whole number, not 2\.5"),
        (lambda: Options(processes="4"), "processes must be a whole number, not '4'"),
        (lambda: Call(abs, most=1.5), r"chunksize must be a whole number, not 1\.5"),
        (lambda: MapOptions(max_crashes="3"), "max_crashes must be a whole number, not '3'"),
        (lambda: MapOptions(timeout_s="5"), "timeout_s must be a number, not '5'"),
        (lambda: GroupOptions(wait_s="a"), "wait_s must be a number, not 'a'"),
        (lambda: MapOptions(max_nbytes="1M"), "max_nbytes must be a number, not '1M'"),
    ],
)
def test_what_is_no_number_is_refused_by_its_name(make, error):
    with pytest.raises(TypeError, match=error):
        make()


def test_a_number_of_another_library_counts():
    number = type("Number", (), {"__index__": lambda _: 3, "__lt__": lambda _, other: other > 3})()
    assert Options(processes=number).processes is number


def test_nothing_told_is_what_multiprocessing_does():
    assert read_map_options({}) == MapOptions(on_error="raise")


def test_an_iterator_can_give_errors_as_values(make_pool):
    pool, _ = make_pool()
    results = list(pool.imap(lambda number: 1 / number, [1, 0], on_error="return"))
    assert (results[0], type(results[1])) == (1, ZeroDivisionError)


def test_an_iterators_chunksize_makes_no_chunks_of_one(make_pool):
    pool, channel = make_pool(1)
    assert sum(pool.imap(abs, range(1000))) == 499_500
    assert len(channel.requests) < 500
