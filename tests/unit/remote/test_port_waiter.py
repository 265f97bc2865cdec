"""Knocking at many doors in one thread, against ports of this computer."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from clusterctl.remote.port_waiter import PortWaiter

pytestmark = pytest.mark.usefixtures("allow_loopback")
LONG_S = 20.0


@pytest.fixture
def full():
    """The port of a server whose queue is full: nothing comes back."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        queue = [socket.socket() for _ in range(3)]
        for each in queue:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for each in queue:
            each.close()


@pytest.fixture
def server():
    """One that accepts, and says what it is told to say."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(LONG_S)
        yield made


class Knocking:
    """Doors, and who was called in which order."""

    def __init__(self, patience_s=LONG_S):
        self.doors = PortWaiter(patience_s)
        self.called = []
        self._changed = threading.Condition()

    def at(self, name, port, address="127.0.0.1"):
        self.doors.when_reachable(name, address, port, lambda: self._tell(name))

    def _tell(self, name):
        with self._changed:
            self.called.append(name)
            self._changed.notify_all()

    def answer(self, name):
        with self._changed:
            assert self._changed.wait_for(lambda: name in self.called, LONG_S), name
        return self.doors.take_answer(name)


def port_of(server):
    return server.getsockname()[1]


def until(true):
    deadline = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def no_thread_is_left():
    return "port-waiter" not in {thread.name for thread in threading.enumerate()}


def test_the_answer_is_a_connection_whose_greeting_is_still_to_be_read(server):
    knocking = Knocking()
    knocking.at("a", port_of(server))
    theirs, _ = server.accept()
    assert knocking.called == []
    theirs.sendall(b"SSH-2.0\r\n")
    with theirs, knocking.answer("a") as ours:
        assert ours.gettimeout() is None
        assert ours.recv(100) == b"SSH-2.0\r\n"
        ours.sendall(b"me too")
        assert theirs.recv(100) == b"me too"


def test_one_that_greets_late_is_handed_over_all_the_same(server):
    knocking = Knocking(patience_s=0.2)
    knocking.at("a", port_of(server))
    with knocking.answer("a") as ours, server.accept()[0] as theirs:
        theirs.sendall(b"at last")
        assert ours.recv(100) == b"at last"


def test_what_refuses_is_tried_again_until_it_is_there():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        knocking = Knocking()
        knocking.at("a", port_of(server))
        server.listen()
        server.settimeout(LONG_S)
        with server.accept()[0] as theirs:
            theirs.sendall(b"SSH-2.0\r\n")
            with knocking.answer("a") as ours:
                assert ours.getpeername() == server.getsockname()


def test_the_last_refusal_is_the_answer_when_the_time_is_over():
    knocking = Knocking(patience_s=0.3)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        knocking.at("a", port_of(nobody))
        assert isinstance(knocking.answer("a"), ConnectionRefusedError)


def test_where_nothing_comes_back_that_is_the_answer(full):
    knocking = Knocking(patience_s=0.3)
    knocking.at("a", full)
    answer = knocking.answer("a")
    assert isinstance(answer, TimeoutError)
    assert str(answer) == "timed out"
    assert knocking.doors.take_answer("a") is None


def test_three_hundred_silent_ones_keep_nobody_waiting(full, server):
    knocking = Knocking()
    for number in range(300):
        knocking.at(f"silent{number}", full)
    knocking.at("a", port_of(server))
    with server.accept()[0] as theirs:
        theirs.sendall(b"SSH-2.0\r\n")
        knocking.answer("a").close()
    assert knocking.called == ["a"]
    assert [thread.name for thread in threading.enumerate()].count("port-waiter") == 1
    for number in range(300):
        knocking.doors.forget_port(f"silent{number}")
    until(no_thread_is_left)


def test_a_name_is_for_somebody_else_to_look_up(server):
    knocking = Knocking()
    knocking.at("a", port_of(server), address="localhost")
    assert knocking.called == ["a"]
    assert knocking.doors.take_answer("a") is None


def test_one_that_has_hung_up_since_is_no_answer(server):
    knocking = Knocking()
    knocking.at("a", port_of(server))
    server.accept()[0].close()
    assert knocking.answer("a") is None


def test_who_is_not_waited_for_any_more_is_not_told_of_and_no_connection_is_left(server):
    knocking = Knocking()
    knocking.at("early", port_of(server))
    with server.accept()[0] as theirs:
        knocking.doors.forget_port("early")
        theirs.sendall(b"SSH-2.0\r\n")
        theirs.settimeout(LONG_S)
        assert ended(theirs)
    knocking.at("late", port_of(server))
    with server.accept()[0] as theirs:
        theirs.sendall(b"SSH-2.0\r\n")
        until(lambda: "late" in knocking.called)
        knocking.doors.forget_port("late")
        theirs.settimeout(LONG_S)
        assert ended(theirs)
    assert knocking.called == ["late"]


def ended(sock):
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:  # with what we sent unread
        return True


def test_the_thread_ends_when_nothing_is_waited_for_and_another_one_takes_over(server):
    knocking = Knocking()
    for name in ("a", "b"):
        knocking.at(name, port_of(server))
        with server.accept()[0] as theirs:
            theirs.sendall(b"SSH-2.0\r\n")
            knocking.answer(name).close()
        until(no_thread_is_left)
