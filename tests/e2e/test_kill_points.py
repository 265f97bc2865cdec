"""SIGKILL at a sample of actions: the same command once more ends well, and `terminate` leaves nothing.

`python -m tests.kill` goes through all of them; docs/reliability.md has its table. The points here are the same every
time: those that once broke, and some that are spread evenly.
"""

from __future__ import annotations

import pytest

from .. import kill
from ..support.kill_grounds import Ground

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    made = Ground(tmp_path_factory.mktemp("killed") / "ground")
    yield made
    assert made.end() == []


@pytest.mark.parametrize(("name", "points"), [("start", 4), ("addnode", 2), ("removenode", 1), ("restart", 1)])
def test_the_first_repeat_ends_well(ground, name, points):
    total = len(kill.count_actions(ground, name))
    for at in kill.spread(total, points + 2, None)[1:-1]:
        trial = kill.try_once(ground, name, at, "group" if at % 2 else "alone")
        assert trial is not None, f"{name} ended before its action {at}"
        assert (trial.repeats, trial.left) == (1, []), trial


def test_the_trap_sees_each_kind_of_action(ground):
    kinds = {*kill.count_actions(ground, "restart")}
    assert {"write", "rename", "process", "connect", "remote command begins", "remote command has ended"} <= kinds
