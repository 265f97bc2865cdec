"""Large arrays where homes are not shared: one engine passes them on to the next, and they come from here once."""

from __future__ import annotations

import sys
import threading

import pytest
import zmq

np = pytest.importorskip("numpy", reason="numpy: is not installed")
pytestmark = pytest.mark.usefixtures("allow_loopback")
SIZE = 400_000
BYTES = 8 * SIZE + 128


@pytest.fixture
def pool(make_pool, tmp_path, monkeypatch):
    """A pool on three engines, each with a home of its own."""
    pool, channel = make_pool(3)
    for engine in channel.by_uuid.values():
        program = engine.program
        program.OBJECTS.location = str(tmp_path / engine.uuid / "objects")
        program.own_address = lambda: "127.0.0.1"
        program.QUIET_S = 2.0
    pool.channel = channel
    monkeypatch.setattr(sys, "clusterctl_meeting", None, raising=False)
    return pool


def add(item):
    """What an engine does: it waits for the others, so that each of them has one item."""
    sys.clusterctl_meeting.wait(30)
    return float(item[1].sum())


def on_all(pool, array):
    """What became of a map with one item for each engine, all with this array."""
    sys.clusterctl_meeting = threading.Barrier(3)
    result = pool.map_async(add, [(number, array) for number in range(3)], chunksize=1)
    assert result.get(timeout=60) == [float(array.sum())] * 3
    return result.report


def folders(pool):
    return [sorted(file.name for file in engine.program.OBJECTS.folder().iterdir()) for engine in engines(pool)]


def engines(pool):
    return list(pool.channel.by_uuid.values())


def test_it_comes_from_here_once_and_from_engine_to_engine_then(pool):
    array = np.arange(SIZE, dtype="f8")
    assert on_all(pool, array).bytes_stored == BYTES
    first, *others = folders(pool)
    assert len(first) == 1
    assert others == [first, first]
    assert on_all(pool, array).bytes_stored == 0


def test_another_array_is_passed_on_by_who_has_it(pool):
    reports = [on_all(pool, np.full(SIZE, number, "f8")) for number in range(3)]
    assert [report.bytes_stored for report in reports] == [BYTES] * 3
    assert pool.channel.steps.count("pass") == 6


def test_where_engines_cannot_reach_each_other_it_comes_from_here(pool):
    for engine in engines(pool):
        engine.program.PASSING.send = lambda *_: None
    assert on_all(pool, np.ones(SIZE)).bytes_stored == 3 * BYTES
    tried = pool.channel.steps.count("pass")
    assert on_all(pool, np.zeros(SIZE)).bytes_stored >= BYTES
    assert pool.channel.steps.count("pass") <= tried + 1  # nobody waits for it a second time
    assert all(len(names) == 2 and not any(name.endswith(".part") for name in names) for names in folders(pool))


def test_what_was_swept_where_it_was_is_passed_on_by_another_one_or_comes_from_here(pool):
    array = np.ones(SIZE)
    on_all(pool, array)
    for engine in engines(pool):
        for file in engine.program.OBJECTS.folder().iterdir():
            file.unlink()
    assert on_all(pool, array).bytes_stored == BYTES


def test_an_engine_that_is_lost_while_it_passes_something_on_costs_one_copy_more(pool):
    channel, bring, ended = pool.channel, pool.channel.bring, []

    def end(uuid, step, pieces=()):
        if step["act"] == "pass" and not ended:
            ended.append(uuid)
            channel.end_engine(uuid)
            channel.add_engine()
            new = list(channel.by_uuid.values())[-1].program
            new.OBJECTS.location = f"{engines(pool)[0].program.OBJECTS.location}-new"
            new.own_address = lambda: "127.0.0.1"
        return bring(uuid, step, pieces)

    channel.bring = end
    result = pool.map_async(lambda item: float(item[1].sum()), [(n, np.ones(SIZE)) for n in range(30)], chunksize=1)
    assert result.get(timeout=60) == [SIZE] * 30


def received(program, size, key, folder):
    """A file that this engine waits for."""
    program.own_address = lambda: "127.0.0.1"
    program.QUIET_S = 1.0
    name = "a" * 64
    part = program.Part(folder, name, "key")
    whole = []
    return program.PASSING.receive(part, size, key, lambda part: whole.append(part.finish())), whole


def end_of(program, arrival):
    while "bytes" in (answer := program.PASSING.look(arrival, end=False)):
        pass
    return answer


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ([b"x" * 100], "what has come is not what was announced"),
        ([b"x" * 60, b"y" * 60], "more has come than was announced"),
        ([], "nothing came"),
        ([b"x" * 99], "nothing came"),
    ],
)
def test_what_another_engine_sends_is_not_believed(pool, tmp_path, sent, says):
    program = engines(pool)[0].program
    public, secret = zmq.curve_keypair()
    told, whole = received(program, 100, public.decode(), tmp_path)
    context = zmq.Context()
    line = context.socket(zmq.PUSH)
    line.curve_publickey, line.curve_secretkey, line.curve_serverkey = public, secret, told["key"].encode()
    line.connect(f"tcp://{told['address']}:{told['port']}")
    for piece in sent:
        line.send(piece)
    assert says in end_of(program, told["arrival"])["error"]
    assert (whole, list(tmp_path.glob(".*.part"))) == ([], [])
    context.destroy(linger=0)


def test_a_stranger_with_another_key_is_not_let_in(pool, tmp_path):
    program = engines(pool)[0].program
    told, whole = received(program, 3, zmq.curve_keypair()[0].decode(), tmp_path)
    context = zmq.Context()
    line = context.socket(zmq.PUSH)
    line.curve_publickey, line.curve_secretkey = zmq.curve_keypair()
    line.curve_serverkey = told["key"].encode()
    line.connect(f"tcp://{told['address']}:{told['port']}")
    line.send(b"abc")
    assert "nothing came" in end_of(program, told["arrival"])["error"]
    assert whole == []
    context.destroy(linger=0)


def test_nothing_is_sent_that_was_not_offered(pool):
    on_all(pool, np.ones(SIZE))
    objects = engines(pool)[0].program.OBJECTS
    (name,) = folders(pool)[0]
    step = {"act": "pass", "name": name, "offer": "no", "address": "127.0.0.1", "port": 1, "key": "x"}
    assert objects.take(step, []) == {"error": "it was not offered"}
    assert objects.take({**step, "name": "b" * 64}, []) == {"lacks": True}
    assert objects.take({"act": "offer", "name": "../../etc/passwd"}, [])["error"]
