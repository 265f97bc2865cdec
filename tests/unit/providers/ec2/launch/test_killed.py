"""A start that was killed at any call to AWS is completed by the next one, with nothing launched twice."""

from __future__ import annotations

import threading

import pytest

from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import Aws
from clusterctl.providers.ec2.launch.transaction import Transaction
from clusterctl.providers.ec2.pricing.background import THREAD

from .....support.ec2_lab import BOTH, plan_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class KilledError(BaseException):
    """As if the process had ended here."""


class Doomed(Aws):
    """An account whose user's computer loses its power at the nth call; never at number 0.

    Questions in the background are not counted: they change nothing, and beside which call they fall is chance.
    """

    def __init__(self, aws: Aws, *, at: int, after: bool) -> None:
        self.__dict__.update(aws.__dict__)
        self.calls = 0
        self._at = at
        self._after = after

    def call(self, service, operation, **parameters):
        if threading.current_thread().name == THREAD:
            return super().call(service, operation, **parameters)
        self.calls += 1
        doomed = self.calls == self._at
        if doomed and not self._after:
            raise KilledError(operation)
        answer = super().call(service, operation, **parameters)
        if doomed:
            raise KilledError(operation)
        return answer

    def pages(self, service, operation, key, **parameters):
        self.calls += 1
        if self.calls == self._at:
            raise KilledError(operation)
        yield from super().pages(service, operation, key, **parameters)


@pytest.fixture
def dead(monkeypatch):
    """Nothing is undone by who is dead."""
    monkeypatch.setattr(Transaction, "_undo_begun", lambda *_, **__: None)


def home_holders(lab):
    """Who has each volume that is a home."""
    filters = [{"Name": f"tag:{tags.ROLE}", "Values": [tags.HOME]}]
    found = lab.ec2.describe_volumes(Filters=filters)["Volumes"]
    return [[held["InstanceId"] for held in raw["Attachments"]] for raw in found]


def killed(lab, plan, *, at, after):
    """Start, and be killed; False if it was over by then."""
    try:
        lab.create(plan, Doomed(lab.aws, at=at, after=after))
    except KilledError:
        return True
    return False


def calls_of(lab, plan, *, after):
    """The calls of a start at which it can be killed, by their numbers. A wait may take one more or less of them."""
    straight = Doomed(lab.aws, at=0, after=after)
    lab.create(plan, straight)
    lab.provider().destroy("lab")
    lab.journal("lab").delete_folder()
    return range(1, straight.calls + 1)


@pytest.mark.seeds(1)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_any_call_the_next_start_completes_it_with_nothing_launched_twice(lab, dead, sample, after):
    plan = plan_of(3, BOTH, home_volume=True)
    calls = calls_of(lab, plan, after=after)
    assert len(calls) >= 10  # each that changes something, and some that look
    deaths = 0
    for at in sample.of(calls, 6):
        deaths += killed(lab, plan, at=at, after=after)
        nodes = lab.create(plan)
        assert [node.alias for node in nodes] == ["master", "node001", "node002"], at
        assert len(lab.instances()) == 3, at
        assert home_holders(lab) == [[nodes[0].machine_id]], at
        lab.provider().destroy("lab")
        assert lab.instances() == [], at
        lab.journal("lab").delete_folder()
    assert deaths >= 5


@pytest.mark.seeds(1)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_any_call_terminate_leaves_nothing(lab, dead, sample, monkeypatch, after):
    plan = plan_of(2, BOTH, home_volume=True)
    monkeypatch.setattr("clusterctl.providers.ec2.launch.waiters._LATE_S", 0.6)
    deaths = 0
    for at in sample.of(calls_of(lab, plan, after=after), 6):
        deaths += killed(lab, plan, at=at, after=after)
        lab.provider().destroy("lab")
        lab.journal("lab").delete_folder()
        assert (lab.instances(), home_holders(lab)) == ([], []), at
        assert lab.ec2.describe_launch_templates()["LaunchTemplates"] == [], at
    assert deaths >= 5
