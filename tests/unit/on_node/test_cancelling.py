"""What an engine leaves out and what it lets be interrupted; what a task scheduler takes from its queue."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from clusterctl.on_node.with_ipyparallel.patches import cancelling, cancelling_tasks


@pytest.fixture
def interrupts(monkeypatch):
    sent = []
    monkeypatch.setattr(signal, "pthread_kill", lambda _thread, number: sent.append(number))
    return sent


@pytest.fixture
def work():
    return cancelling.EngineWork()


def header(session="mine", number="m1"):
    return {"msg_id": number, "session": session, "msg_type": "apply_request"}


def request(client="", *, look=False, marker="end"):
    return {"client": client, "look": look, "marker": marker}


def test_what_comes_before_the_marker_is_left_out_and_what_comes_after_it_is_not(work):
    work.cancel(request())
    assert work.leaves_out(header())
    assert not work.leaves_out(header(number="end"))
    assert not work.leaves_out(header())


def test_of_one_client_only(work):
    work.cancel(request("mine"))
    assert work.leaves_out(header("mine"))
    assert not work.leaves_out(header("yours"))


def test_who_cancels_may_be_killed_before_the_marker_is_sent(work, monkeypatch):
    work.cancel(request())
    now = cancelling.time.monotonic()
    monkeypatch.setattr(cancelling.time, "monotonic", lambda: now + 31)
    assert not work.leaves_out(header())


def test_two_cancel_at_once(work):
    work.cancel(request("mine", marker="first"))
    work.cancel(request("yours", marker="second"))
    assert not work.leaves_out(header(number="first"))
    assert not work.leaves_out(header("mine"))
    assert work.leaves_out(header("yours"))


def test_an_interrupt_hits_the_work_and_not_its_answer(work, interrupts):
    work.leaves_out(header())
    assert work.cancel(request())["client"] == "mine"
    assert interrupts == []
    with work.interruptible():
        work.cancel(request("yours"))
        work.cancel(request(look=True))
        assert interrupts == []
        work.cancel(request("mine"))
    assert interrupts == [signal.SIGINT]
    work.cancel(request())
    work.end()
    assert work.cancel(request()) == {}
    assert interrupts == [signal.SIGINT]


def test_to_look_leaves_nothing_out(work):
    work.leaves_out(header())
    assert work.cancel(request(look=True))["kind"] == "apply_request"
    assert not work.leaves_out(header())


class Scheduler:
    """A task scheduler with a queue, whose tasks may wait for each other."""

    def __init__(self, *jobs):
        self.queue_map = {number: SimpleNamespace(msg_id=number, header=header(session)) for number, session in jobs}
        self.pending = {b"engine": {"p1": SimpleNamespace(header=header()), "p2": SimpleNamespace(header=header("x"))}}
        self.retries = {"p1": 3, "p2": 3}
        self.failed = []

    def fail_unreachable(self, number, why):
        self.failed.append((number, why.__name__))
        del self.queue_map[number]
        self.queue_map.pop(f"after-{number}", None)


def test_the_queue_is_emptied_and_nothing_of_it_is_tried_again():
    scheduler = Scheduler(("1", "mine"), ("after-1", "mine"), ("2", "yours"))
    cancelling_tasks.empty_queue(scheduler, "mine")
    assert scheduler.failed == [("1", "TaskAborted")]
    assert [*scheduler.queue_map] == ["2"]
    assert scheduler.retries == {"p1": 0, "p2": 3}
