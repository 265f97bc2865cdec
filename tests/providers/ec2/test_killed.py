"""A start that was killed at any call to AWS is completed by the next one, with nothing launched twice."""

from __future__ import annotations

import pytest

from clusterctl.providers.ec2.aws import Aws
from clusterctl.providers.ec2.launch.transaction import Attempt

from .lab import BOTH, plan_of

pytestmark = pytest.mark.slow


class KilledError(BaseException):
    """As if the process had ended here."""


class Doomed(Aws):
    """An account whose user's computer loses its power at the nth call."""

    def __init__(self, aws: Aws, *, at: int, after: bool) -> None:
        self.__dict__.update(aws.__dict__)
        self._left = at
        self._after = after

    def call(self, service, operation, **parameters):
        self._left -= 1
        if self._left == 0 and not self._after:
            raise KilledError(operation)
        answer = super().call(service, operation, **parameters)
        if self._left == 0:
            raise KilledError(operation)
        return answer

    def pages(self, service, operation, key, **parameters):
        self._left -= 1
        if self._left == 0:
            raise KilledError(operation)
        yield from super().pages(service, operation, key, **parameters)


@pytest.fixture
def dead(monkeypatch):
    """Nothing is undone by who is dead."""
    monkeypatch.setattr(Attempt, "_undo", lambda *_, **__: None)


def killed(lab, plan, *, at, after):
    """Start, and be killed; False if it was over by then."""
    try:
        lab.create(plan, Doomed(lab.aws, at=at, after=after))
    except KilledError:
        return True
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_any_call_the_next_start_completes_it_with_nothing_launched_twice(lab, dead, monkeypatch, after):
    plan = plan_of(3, BOTH)
    at, calls = 0, 0
    while True:
        at += 1
        if not killed(lab, plan, at=at, after=after):
            break
        calls += 1
        nodes = lab.create(plan)
        assert [node.alias for node in nodes] == ["master", "node001", "node002"], at
        assert len(lab.instances()) == 3, at
        lab.provider().destroy("lab")
        assert lab.instances() == [], at
        lab.journal("lab").remove()
    assert calls >= 10  # it was killed at each call that changes something, and at some that look


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_any_call_terminate_leaves_nothing(lab, dead, monkeypatch, after):
    plan = plan_of(2, BOTH)
    monkeypatch.setattr("clusterctl.providers.ec2.launch.waiters._LATE_S", 0.6)
    at = 0
    while True:
        at += 1
        if not killed(lab, plan, at=at, after=after):
            break
        lab.provider().destroy("lab")
        lab.journal("lab").remove()
        assert lab.instances() == [], at
        assert lab.ec2.describe_launch_templates()["LaunchTemplates"] == [], at
