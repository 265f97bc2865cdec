"""Messages to members, and what becomes of engines that do not answer them."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from clusterctl.clock import Deadline
from clusterctl.compute import channel as ways
from clusterctl.compute.engines.crew import Engine
from clusterctl.compute.together import rounds
from clusterctl.compute.together.program import InEngine

from ....support.light_channel import LightChannel

DEADLINE_S = 30


class SilentChannel(LightChannel):
    """Its engines are at somebody else's work: they get messages, and do not begin with them."""

    def __init__(self, count):
        super().__init__(count)
        self.was_killed = threading.Event()
        self.futures = []

    def send(self, uuid, request, hear):
        self.futures.append(Future())
        return f"m{len(self.futures)}", self.futures[-1]

    def take_back(self, uuid, chunks, *, interrupt):
        return Future()

    def kill(self, number):
        super().kill(number)
        self.was_killed.set()


@pytest.fixture
def channel():
    made = SilentChannel(2)
    yield made
    made.close()


def begin(channel):
    engines = [Engine(number, uuid) for number, uuid in channel.engines().items()]
    made = rounds.Round(rounds.Meetings(channel), InEngine("hold"), engines, [{} for _ in engines])
    made.begin()
    return made


@pytest.mark.parametrize("ends_engines", [True, False])
def test_only_engines_that_have_heard_of_a_group_are_ended(channel, monkeypatch, ends_engines):
    monkeypatch.setattr(rounds, "_GRACE_S", 0.0)
    before = set(threading.enumerate())
    begin(channel).close(ends_engines=ends_engines)
    for timer in set(threading.enumerate()) - before:
        timer.join(DEADLINE_S)
    assert channel.was_killed.is_set() == ends_engines
    assert sorted(channel.killed) == ([0, 1] if ends_engines else [])


def test_an_answer_that_was_lost_is_asked_for_again_and_an_engine_that_ended_is_lost(channel):
    asked = begin(channel)
    channel.futures[0].set_result((ways.CONNECTION_LOST, None))
    channel.futures[1].set_result((ways.ENGINE_ENDED, None))
    answers = asked.answers(Deadline.after(DEADLINE_S))
    rank, _, error = next(answers)
    assert (rank, type(error)) == (1, rounds.LostEngineError)
    waiting = threading.Thread(target=lambda: got.append(next(answers)), daemon=True)
    got = []
    waiting.start()
    until = Deadline.after(DEADLINE_S)
    for _ in until.polls(0.01):
        if len(channel.futures) == 3:
            break
    channel.futures[2].set_result((ways.FAILED, "why"))
    waiting.join(DEADLINE_S)
    ((rank, _, error),) = got
    assert rank == 0
    assert "an engine failed: why" in str(error)


def test_whoever_cancels_all_work_ends_a_round(channel):
    asked = begin(channel)
    channel.cancel_all()
    with pytest.raises(rounds.CancelledError, match="somebody has cancelled"):
        list(asked.answers(Deadline.after(DEADLINE_S)))


def test_the_receipt_of_an_answer_goes_with_the_next_message():
    channel = LightChannel(1)
    meetings = rounds.Meetings(channel)
    (engine,) = (Engine(number, uuid) for number, uuid in channel.engines().items())

    def ask():
        asked = rounds.Round(meetings, abs, [engine], [-3])
        asked.begin()
        assert [value for _, value, _ in asked.answers(Deadline.after(DEADLINE_S))] == [3]

    ask()
    ask()
    (_, first), (_, second) = channel.requests
    assert second["acknowledged"] == [first["chunk"]]
    assert channel.acknowledged == []
    channel.close()
