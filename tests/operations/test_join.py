"""What is waited for, and what is not. The order of things: tests/operations/test_launch.py."""

from __future__ import annotations

import pytest

from clusterctl.errors import RefusedError
from clusterctl.model import EventKind, Facet
from clusterctl.operations.launch import start
from clusterctl.testing import FakeConnector


class Refusing(FakeConnector):
    """Some nodes answer, and let nobody in."""

    refused: tuple[str, ...] = ()
    tries = 0

    def __call__(self, node):
        remote = super().__call__(node)
        if node.alias in self.refused:
            remote.connect = self.refuse
        return remote

    def refuse(self):
        self.tries += 1
        raise RefusedError("me is not let in", remedy="let me in")


@pytest.fixture
def refusing(lab):
    lab.connector = Refusing()
    return lab.connector


def test_a_worker_that_lets_nobody_in_is_reported_at_once_and_the_others_join(lab, refusing):
    refusing.refused = ("node001",)
    started = start(lab.parts(cluster_size=3, min_size=2))
    assert (started.joined, started.failed) == (("master", "node002"), ("node001",))
    assert lab.warnings == ["node001: me is not let in"]
    assert refusing.tries == 1


def test_a_master_that_lets_nobody_in_ends_the_start_at_once(lab, refusing):
    refusing.refused = ("master",)
    with pytest.raises(RefusedError, match="me is not let in") as caught:
        start(lab.parts(cluster_size=2))
    assert "let me in; the nodes stay" in caught.value.remedy
    assert refusing.tries == 1


def test_a_host_that_was_there_before_may_still_be_booting_and_is_waited_for(lab):
    lab.provider.facets = frozenset({Facet.LASTING, Facet.DIRECT})
    lab.connector.down = {"node001"}

    def report(event):
        lab.events.append(event)
        if event.kind == EventKind.STEP and event.text.startswith("Waiting"):
            lab.provider.power_off("lab", "node001")

    lab.report = report
    started = start(lab.parts(cluster_size=2, start_timeout=3))
    assert started.failed == ("node001",)
    assert any("did not answer when the 3 s" in problem for problem in started.problems)
