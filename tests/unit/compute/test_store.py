"""Large arrays go to files on the nodes, once, and tasks map them: values are right whatever happens to the files."""

from __future__ import annotations

import sys
import threading
import types
from concurrent.futures import CancelledError

import pytest

from clusterctl.compute.engines import bringing
from clusterctl.compute.failures import StoreError

np = pytest.importorskip("numpy", reason="numpy: is not installed")
SIZE = 200_000
BYTES = 8 * SIZE + 128


@pytest.fixture
def pool(make_pool, tmp_path):
    """A pool on two engines that share a folder of large arrays."""
    return equip(*make_pool(2), tmp_path / "objects")


def equip(pool, channel, folder):
    for engine in channel.by_uuid.values():
        engine.program.OBJECTS.location = str(folder)
    pool.channel, pool.folder = channel, folder
    return pool


def total(array):
    return float(array.sum()), type(array) is np.ndarray, array.flags.writeable


def test_an_array_of_all_items_is_brought_once_and_never_again(pool):
    array = np.ones(SIZE)
    first = pool.map_async(total, [array] * 20)
    assert first.get() == [(SIZE, True, True)] * 20
    assert first.report.bytes_stored == BYTES
    assert first.report.bytes_sent < 20_000
    again = pool.map_async(total, [array.copy()] * 20)
    assert again.get() == [(SIZE, True, True)] * 20
    assert again.report.bytes_stored == 0


def test_what_a_function_closes_over_is_brought_once(pool):
    array = np.arange(SIZE)
    result = pool.map_async(lambda number: int(array[number]), range(50))
    assert result.get() == list(range(50))
    assert (result.report.bytes_stored, result.report.bytes_sent < 20_000) == (BYTES, True)


def test_arrays_inside_of_items_go_to_files_and_small_ones_do_not(pool):
    items = [{"x": [np.full(SIZE, number)], "y": np.zeros(3)} for number in range(3)]
    result = pool.map_async(lambda item: float(item["x"][0][-1] + item["y"].sum()), items)
    assert result.get() == [0, 1, 2]
    assert result.report.bytes_stored == 3 * BYTES


def test_an_array_that_changes_between_calls_is_another_one(pool):
    array = np.ones(SIZE)
    assert pool.map(total, [array])[0][0] == SIZE
    array[:] = 2
    assert pool.map(total, [array])[0][0] == 2 * SIZE


def test_an_array_that_changes_between_items_that_come_one_by_one_is_another_one(pool):
    array = np.ones(SIZE)
    taken = threading.Semaphore(1)

    def items():
        for number in range(4):
            assert taken.acquire(timeout=30)
            array[:] = number
            yield array

    found = []
    for value in pool.imap(total, items(), buffersize=1):
        found.append(value[0])
        taken.release()
    assert found == [0, SIZE, 2 * SIZE, 3 * SIZE]


def test_what_a_task_does_to_its_array_is_its_own(pool):
    def change(array):
        array += 1
        return float(array[0])

    array = np.zeros(SIZE)
    assert pool.map(change, [array] * 6, chunksize=1) == [1] * 6
    assert array.sum() == 0


@pytest.mark.parametrize("fault", ["swept", "damaged"])
def test_a_file_that_is_gone_or_damaged_is_brought_again(make_pool, tmp_path, fault):
    pool = equip(*make_pool(1), tmp_path / "objects")
    array = np.ones(SIZE)
    pool.map(total, [array])
    (file,) = pool.folder.iterdir()
    if fault == "swept":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    result = pool.map_async(total, [array])
    assert result.get()[0][0] == SIZE
    assert result.report.bytes_stored == BYTES


def test_who_wants_no_files_has_none(pool):
    result = pool.map_async(total, [np.ones(SIZE)], max_nbytes=None)
    assert (result.get()[0][0], result.report.bytes_stored, pool.folder.exists()) == (SIZE, 0, False)
    with pytest.raises(ValueError, match="max_nbytes must be"):
        pool.map(total, [], max_nbytes=-1)


def test_while_another_thread_loads_numpy_there_are_no_arrays(pool, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    assert pool.map(str, [1, [2]]) == ["1", "[2]"]


def test_objects_of_python_travel_as_ever(pool):
    result = pool.map_async(len, [np.array([None] * SIZE)])
    assert (result.get(), result.report.bytes_stored) == ([SIZE], 0)


def test_a_disk_that_is_full_is_an_error_with_a_remedy(pool):
    for engine in pool.channel.by_uuid.values():
        engine.program._free_bytes = lambda folder: 0
    with pytest.raises(StoreError, match="no room for") as caught:
        pool.map(total, [np.ones(SIZE)])
    assert "df -h" in caught.value.remedy


def test_a_folder_that_others_can_read_is_an_error_with_a_remedy(pool):
    pool.folder.mkdir(mode=0o755)
    pool.folder.chmod(0o755)
    with pytest.raises(StoreError, match="mode 700"):
        pool.map(total, [np.ones(SIZE)])


def test_an_engine_that_lacks_it_for_ever_is_an_error(pool):
    for engine in pool.channel.by_uuid.values():
        engine.program.OBJECTS.lacking = list
    with pytest.raises(StoreError, match="again and again"):
        pool.map(total, [np.ones(SIZE)])


def test_an_engine_that_is_lost_while_it_takes_a_file_leaves_the_work_to_another_one(pool, monkeypatch):
    monkeypatch.setattr(bringing, "_LOOK_S", 0.01)
    channel, bring = pool.channel, pool.channel.bring

    def end_at_first_piece(uuid, step, pieces=()):
        if step["act"] == "piece" and len(channel.by_uuid) == 2:
            channel.end_engine(uuid)
        return bring(uuid, step, pieces)

    channel.bring = end_at_first_piece
    result = pool.map_async(total, [np.ones(SIZE)])
    assert result.get(timeout=60)[0][0] == SIZE
    assert result.report.bytes_stored == BYTES


def test_an_engine_that_stays_silent_is_asked_again(pool, monkeypatch):
    monkeypatch.setattr(bringing, "_LOOK_S", 0.01)
    monkeypatch.setattr(bringing, "_SILENT_S", 0.05)
    pool.channel.takes_steps = False
    result = pool.map_async(total, [np.ones(SIZE)])
    while len(pool.channel.steps) < 2:
        result.wait(0.01)
    pool.channel.takes_steps = True
    assert result.get(timeout=60)[0][0] == SIZE


def test_what_is_cancelled_is_not_brought_to_its_end(pool):
    bring, results = pool.channel.bring, []

    def cancel_at_first_piece(uuid, step, pieces=()):
        if step["act"] == "piece":
            results[0].cancel()
            results[0].wait(10)
        return bring(uuid, step, pieces)

    pool.channel.bring = cancel_at_first_piece
    results.append(pool.map_async(total, [np.ones(20 * SIZE)]))
    with pytest.raises(CancelledError):
        results[0].get(timeout=60)
    assert pool.map(abs, [-1]) == [1]
    assert pool.channel.steps.count("piece") < 20
