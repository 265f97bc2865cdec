"""The files of large arrays on a node: what comes in, what is mapped, what is refused, and what goes."""

from __future__ import annotations

import ast
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from clusterctl.compute import channel
from clusterctl.compute.large_arrays import StoredArray

from ...support.engine_program import load

np = pytest.importorskip("numpy", reason="numpy: is not installed")
FOLDER = Path(channel.__file__).parents[1] / "on_node" / "in_engine"


@pytest.fixture
def engine(tmp_path):
    program = load()
    program.OBJECTS.location = str(tmp_path / "cache" / "objects")
    return program


def bring(engine, array):
    """The name of an array that a client has brought."""
    stored = StoredArray(lambda: array)
    answer = engine.OBJECTS.take({"act": "begin", "name": stored.name, "bytes": stored.bytes}, [])
    offset = 0
    for piece in stored.pieces() if "part" in answer else ():
        assert engine.OBJECTS.take({"act": "piece", "part": answer["part"], "offset": offset}, [piece]) == {}
        offset += piece.nbytes
    if "part" in answer:
        assert engine.OBJECTS.take({"act": "end", "part": answer["part"]}, []) == {}
    return stored.name


def files(engine):
    return sorted(file.name for file in engine.OBJECTS.folder().iterdir())


def test_no_two_modules_of_the_program_give_one_name_to_two_things():
    names = Counter()
    for name in channel._PROGRAM:
        for node in ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names[node.name] += 1
            elif isinstance(node, ast.Assign):
                names.update(target.id for each in node.targets for target in ast.walk(each) if hasattr(target, "id"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24).reshape(4, 6)[::2, ::3],
        np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
        np.array([(1, "a")], dtype=[("number", "i4"), ("text", "U3")]),
        np.array([True, False]),
        np.array(3.0),
    ],
    ids=["C", "Fortran", "every other", "times", "records", "truth", "one number"],
)
def test_an_array_comes_out_as_it_went_in(engine, array):
    mapped = engine.OBJECTS.array(bring(engine, array), "c", "array")
    assert type(mapped) is np.ndarray
    np.testing.assert_array_equal(mapped, array)
    assert mapped.dtype == array.dtype
    assert mapped.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous


def test_modes_are_joblibs(engine):
    name = bring(engine, np.zeros(3))
    kinds = [type(engine.OBJECTS.array(name, mode, "memmap")) for mode in ("r", "c", None)]
    assert kinds == [np.memmap, np.memmap, np.ndarray]
    assert not engine.OBJECTS.array(name, "r", "memmap").flags.writeable
    own = engine.OBJECTS.array(name, "c", "memmap")
    own[0] = 1
    assert engine.OBJECTS.array(name, "c", "memmap")[0] == 0


def test_a_file_and_its_folder_are_their_users_alone(engine):
    name = bring(engine, np.zeros(3))
    assert engine.OBJECTS.folder().stat().st_mode & 0o777 == 0o700
    assert (engine.OBJECTS.folder() / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["others read it", "a link", "a file"])
def test_a_folder_that_is_not_its_users_alone_is_refused(engine, tmp_path, fault):
    folder = tmp_path / "cache" / "objects"
    folder.parent.mkdir()
    if fault == "others read it":
        folder.mkdir()
        folder.chmod(0o750)
    elif fault == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.touch()
    assert "mode 700" in engine.OBJECTS.take({"act": "begin", "name": "0" * 64, "bytes": 1}, [])["error"]


@pytest.mark.parametrize("fault", ["changed", "cut off", "readable", "a link"])
def test_a_file_that_is_not_what_its_name_says_is_missing_and_goes(engine, tmp_path, fault):
    engine.OBJECTS.array(name := bring(engine, np.arange(100.0)), "c", "array")
    file = engine.OBJECTS.folder() / name
    content = file.read_bytes()
    if fault == "changed":
        file.write_bytes(content[:-1] + b"x")
    elif fault == "cut off":
        file.write_bytes(content[:-1])
    elif fault == "readable":
        file.chmod(0o644)
    else:
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(engine.MissingObjectError):
        engine.OBJECTS.array(name, "c", "array")
    if fault != "a link":
        assert not file.exists()


@pytest.mark.parametrize("name", ["../../x", "short", "Z" * 64, ""])
def test_what_is_no_name_is_refused(engine, name):
    assert "no name" in engine.OBJECTS.take({"act": "begin", "name": name, "bytes": 1}, [])["error"]


def test_content_that_was_not_announced_is_refused_and_leaves_nothing(engine):
    part = engine.OBJECTS.take({"act": "begin", "name": "0" * 64, "bytes": 3}, [])["part"]
    engine.OBJECTS.take({"act": "piece", "part": part, "offset": 0}, [memoryview(b"abc")])
    assert "announced" in engine.OBJECTS.take({"act": "end", "part": part}, [])["error"]
    assert files(engine) == []


def test_a_missing_piece_is_refused_and_leaves_nothing(engine):
    part = engine.OBJECTS.take({"act": "begin", "name": "0" * 64, "bytes": 3}, [])["part"]
    assert "missing" in engine.OBJECTS.take({"act": "piece", "part": part, "offset": 1}, [memoryview(b"abc")])["error"]
    assert files(engine) == []
    assert engine.OBJECTS.take({"act": "end", "part": part}, []) == {"again": True}


def test_what_is_there_is_not_taken_twice(engine):
    name = bring(engine, np.zeros(3))
    assert engine.OBJECTS.take({"act": "begin", "name": name, "bytes": 1}, []) == {"has": True}
    assert files(engine) == [name]


def age(engine, name, seconds):
    moment = time.time() - seconds
    os.utime(engine.OBJECTS.folder() / name, (moment, moment))


def test_what_was_not_used_for_long_goes_and_what_is_mapped_stays(engine):
    old, used = bring(engine, np.zeros(3)), bring(engine, np.ones(3))
    mapped = engine.OBJECTS.array(used, "c", "array")
    for name in (old, used):
        age(engine, name, engine.STORE_S + 60)
    new = bring(engine, np.full(3, 2))
    assert files(engine) == sorted([used, new])
    assert mapped.tolist() == [1, 1, 1]
    del mapped
    age(engine, used, engine.STORE_S + 60)
    newest = bring(engine, np.full(3, 3))
    assert files(engine) == sorted([new, newest])


def test_the_oldest_makes_room(engine, monkeypatch):
    names = [bring(engine, np.full(1000, number, float)) for number in range(3)]
    for number, name in enumerate(names):
        age(engine, name, 3600 * (3 - number))
    monkeypatch.setattr(engine, "STORE_BYTES", 3 * 8128)
    newest = bring(engine, np.full(1000, 9.0))
    assert files(engine) == sorted([*names[1:], newest])


def test_a_full_disk_is_said_and_leaves_nothing(engine, monkeypatch):
    monkeypatch.setattr(engine, "_free_bytes", lambda folder: 0)
    assert "no room for 2 MiB" in engine.OBJECTS.take({"act": "begin", "name": "0" * 64, "bytes": 2**21}, [])["error"]
    assert files(engine) == []


def test_parts_of_clients_that_are_gone_go_after_a_day(engine):
    engine.OBJECTS.take({"act": "begin", "name": "0" * 64, "bytes": 3}, [])
    (part,) = files(engine)
    names = [bring(engine, np.zeros(3))]
    assert part in files(engine)
    age(engine, part, engine.PART_S + 60)
    names.append(bring(engine, np.ones(3)))
    assert files(engine) == sorted(names)


def test_rows_that_follow_each_other_are_not_copied(engine):
    array = np.arange(40.0).reshape(10, 4)
    rows = engine.OBJECTS.array(bring(engine, array), "c", "rows")
    assert np.shares_memory(rows[np.arange(2, 7), ...], rows)
    assert type(rows[np.arange(2, 7)]) is np.ndarray
    for key in (
        np.array([3, 1, 2]),
        np.array([-1, 0]),
        np.array([1, 1, 2]),
        slice(2),
        3,
        (slice(None), 1),
        np.array([4]),
    ):
        np.testing.assert_array_equal(rows[key], array[key])
