"""A detached map from its order to its end, with the process that runs it in this one."""

from __future__ import annotations

import errno
import json
import os
import threading
from concurrent.futures import CancelledError
from multiprocessing import TimeoutError as PoolTimeoutError

import pytest

from clusterctl.clients import run_detached
from clusterctl.clients.detached import local_store, model
from clusterctl.clients.detached.local_store import LocalStore
from clusterctl.clients.detached.model import DetachedError, parse_status
from clusterctl.clients.detached.submitting import DetachedMaps
from clusterctl.compute.dispatch import Dispatcher
from clusterctl.errors import UsageError
from clusterctl.laptop.lock_files import hold

from ....support.light_channel import LightChannel

WELL = vars(model.Status("a", "done", 1, 1, "d", 0.0))


def square(number):
    return number * number


class Master:
    """Runs the maps of a store in threads of this process."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.store = LocalStore(folder)
        self.maps = DetachedMaps(self.store)
        self.engines = 2
        self.runs = True
        self.runners = []
        self.threads = []
        self.connects = []
        monkeypatch.setattr(LocalStore, "_begin", lambda _, place: self.begin(place))
        monkeypatch.setattr(Dispatcher, "of", lambda channel: Dispatcher(channel, wait_s=0.2))
        monkeypatch.setattr(run_detached, "_AGAIN_S", 0.02)

    def connect(self):
        self.connects.append(LightChannel(self.engines))
        return self.connects[-1]

    def begin(self, place):
        ready = threading.Event()

        def run():
            with hold(place / local_store.LOCK) as is_mine:
                if is_mine:
                    self.runners.append(run_detached.Runner(place, self.connect))
                    ready.set()
                    self.runners[-1].run()

        if self.runs:
            self.threads.append(threading.Thread(target=run))
            self.threads[-1].start()
            assert ready.wait(10)

    def close(self):
        for runner in self.runners:
            runner.stop()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads)


@pytest.fixture
def master(tmp_path, monkeypatch):
    made = Master(tmp_path / "maps", monkeypatch)
    yield made
    made.close()


def begin(master, function, items, name=None, **options):
    return master.maps.begin(function, [items], name, options)


def test_the_values_come_in_order_and_stay(master):
    begun = begin(master, square, range(100))
    assert begun.get(20) == [number * number for number in range(100)]
    found = master.maps.find(begun.id)
    assert found.status().state == model.DONE
    assert found.get(0) == begun.get(0)
    assert [*found] == begun.get(0)
    assert found.partial()[3] == 9


def test_several_inputs_are_arguments_as_maps_are(master):
    assert master.maps.begin(pow, [[2, 3], [4, 2]], None, {}).get(20) == [16, 9]


def test_what_fails_is_raised_as_itself_with_where_it_was(master):
    begun = begin(master, lambda number: 1 / number, [1, 2, 0])
    with pytest.raises(ZeroDivisionError) as caught:
        begun.get(20)
    assert "in <lambda>" in str(caught.value.__cause__)
    assert begun.status().state == model.FAILED
    assert begun.status().detail == "ZeroDivisionError: division by zero"


def test_errors_can_stand_in_the_places_of_values(master):
    begun = begin(master, lambda number: 1 / number, [1, 0, 2], on_error="return")
    one, error, half = begun.get(20)
    assert (one, type(error), half) == (1, ZeroDivisionError, 0.5)
    assert type(begun.partial()[1]) is ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        list(begun)


def test_a_map_of_a_name_goes_on_where_it_was_also_with_a_function_that_was_mended(master):
    ran = []

    def fails(number):
        ran.append(number)
        if number >= 5:
            raise ValueError(number)
        return number

    master.engines = 1
    with pytest.raises(ValueError, match="5"):
        begin(master, fails, range(10), "sweep", chunksize=1).get(20)
    done = {*master.maps.find("sweep").partial()}
    assert done == {0, 1, 2, 3, 4}
    mended = begin(master, lambda number: -number, range(10), "sweep")
    assert mended.get(20) == [0, 1, 2, 3, 4, -5, -6, -7, -8, -9]


def test_other_items_are_another_map(master):
    begin(master, square, range(3), "sweep").get(20)
    with pytest.raises(DetachedError, match="its items are others") as caught:
        begin(master, square, range(4), "sweep")
    assert "forget()" in caught.value.remedy
    master.maps.find("sweep").forget()
    assert begin(master, square, range(4), "sweep").get(20) == [0, 1, 4, 9]


def test_one_that_does_not_run_is_begun_again_by_who_waits_for_it(master):
    master.runs = False
    begun = begin(master, square, range(5))
    assert begun.status().state == model.INTERRUPTED
    with pytest.raises(DetachedError, match="ends again and again"):
        begun.get(5)
    master.runs = True
    assert master.maps.find(begun.id).get(20) == [0, 1, 4, 9, 16]


def test_what_a_killed_process_wrote_is_not_done_again(master):
    begun = begin(master, square, range(5))
    begun.get(20)
    place = master.folder / begun.id
    results = (place / local_store.RESULTS).read_bytes()
    (place / local_store.RESULTS).write_bytes(results[:-3])
    (place / local_store.STATE).write_text('{"state": "running"}')
    sent = len(master.connects)
    again = master.maps.find(begun.id)
    assert again.status().done == 4
    assert again.get(20) == [0, 1, 4, 9, 16]
    [channel] = master.connects[sent:]
    assert len(channel.requests) == 1


def test_a_controller_that_is_away_is_waited_for(master, monkeypatch):
    connect, fails = master.connect, iter([OSError("refused"), OSError("refused")])

    def late():
        for error in fails:
            raise error
        return connect()

    monkeypatch.setattr(master, "connect", late)
    assert begin(master, square, range(3)).get(20) == [0, 1, 4]


def test_engines_that_are_away_are_waited_for(master):
    master.engines = 0
    begun = begin(master, square, range(3))
    with pytest.raises(PoolTimeoutError):
        begun.get(0.6)
    assert begun.status().detail == "waits for engines"
    master.engines = 1
    assert begun.get(20) == [0, 1, 4]


def test_it_is_cancelled_from_anywhere_and_what_is_done_stays(master, monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: master.runners[-1].stop())
    monkeypatch.setattr(threading, "held_by_a_test", threading.Event(), raising=False)

    def held(number):
        import threading

        if number:
            threading.held_by_a_test.wait(20)
        return number

    begun = begin(master, held, [0, 1], chunksize=1)
    while not begun.partial():
        begun.wait(0.1)
    threading.held_by_a_test.set()
    begun.cancel()
    assert begun.status().is_over
    if begun.status().state == model.CANCELLED:  # the engines here are threads, which nothing interrupts
        with pytest.raises(CancelledError, match="1 of 2 items are done"):
            master.maps.find(begun.id).get(20)
    assert begin(master, held, [0, 1], begun.id).get(20) == [0, 1]


def test_a_disk_that_is_full_halts_it_and_it_goes_on_when_there_is_room(master, monkeypatch):
    write, full = run_detached.pack_record, [True]

    def no_room(record):
        if full and record.place == 3:
            full.pop()
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(record)

    monkeypatch.setattr(run_detached, "pack_record", no_room)
    begun = begin(master, square, range(6))
    assert begun.get(20) == [0, 1, 4, 9, 16, 25]
    assert len(master.runners) == 2


def test_a_disk_that_stays_full_is_an_error_in_the_end(master, monkeypatch):
    write = run_detached.pack_record

    def no_room(record):
        if record.place == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(record)

    monkeypatch.setattr(run_detached, "pack_record", no_room)
    begun = begin(master, square, range(6))
    with pytest.raises(DetachedError, match=r"ends again and again: .*No space left"):
        begun.get(20)
    assert begun.status().state == model.HALTED
    begin_count = len(master.runners)
    assert {*begun.partial()} <= {0, 1, 2, 4, 5}
    assert len(master.runners) == begin_count  # to look makes nothing go on


def test_a_state_that_cannot_be_written_halts_it_too(master, monkeypatch):
    write, full = run_detached.write_atomically, [True]

    def no_room(path, content):
        if full and path.name == local_store.STATE and b'"running"' in content and b'"done": 0' not in content:
            full.pop()
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(run_detached, "write_atomically", no_room)
    monkeypatch.setattr(run_detached, "_TELL_S", 0.0)
    assert begin(master, square, range(6)).get(20) == [0, 1, 4, 9, 16, 25]
    assert not full


def test_who_reads_while_another_one_has_it_go_on_reads_right(master):
    begun = begin(master, square, range(5))
    begun.get(20)
    place = master.folder / begun.id
    whole = (place / local_store.RESULTS).read_bytes()
    (place / local_store.RESULTS).write_bytes(whole[:-3])
    (place / local_store.STATE).write_text('{"state": "running"}')
    slow = master.maps.find(begun.id)
    assert len(slow.partial()) == 4  # and a part of the fifth
    assert master.maps.find(begun.id).get(20) == [0, 1, 4, 9, 16]
    assert slow.get(20) == [0, 1, 4, 9, 16]


def test_what_was_begun_is_listed_and_an_unknown_one_is_an_error_that_lists_it(master):
    begin(master, square, [1], "a").get(20)
    begin(master, square, [1], "b").get(20)
    assert [status.name for status in master.store.all()] == ["a", "b"]
    with pytest.raises(DetachedError) as caught:
        master.maps.find("c")
    assert caught.value.remedy == "there are: a, b"


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "x" * 65, "a b", "\x1b[2J"])
def test_a_name_is_no_path(master, name):
    with pytest.raises(UsageError):
        begin(master, square, [1], name)
    with pytest.raises(UsageError):
        master.maps.find(name)


def test_what_cannot_be_sent_is_an_error_before_anything_is_sent(master):
    with pytest.raises(TypeError, match="the function cannot be sent"):
        begin(master, threading.Lock().acquire, [1])
    with pytest.raises(TypeError, match="the items cannot be sent"):
        begin(master, square, [threading.Lock()])
    with pytest.raises(TypeError, match="a map has no option 'speed'"):
        begin(master, square, [1], speed=3)
    assert not master.folder.exists()


@pytest.mark.parametrize(
    "said",
    [
        *(None, [], {}, {"name": "a"}),
        *({**WELL, "total": "many"}, {**WELL, "state": "\x1b[2J"}, {**WELL, "name": "../a"}, {**WELL, "digest": "\n"}),
    ],
)
def test_a_status_that_is_none_is_not_believed(said):
    with pytest.raises(ValueError, match="no status"):
        parse_status(said)


def test_what_a_node_says_of_itself_steers_no_terminal():
    assert parse_status({**WELL, "detail": "\x1b]0;owned\x07 no room"}).detail == "\\x1b]0;owned\\x07 no room"


def test_the_status_travels_as_json(master):
    begun = begin(master, square, [1, 2])
    begun.get(20)
    status = begun.status()
    assert parse_status(json.loads(json.dumps(status.as_json()))) == status
