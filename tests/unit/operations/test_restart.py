"""Every node boots anew."""

from __future__ import annotations

import itertools

import pytest

from clusterctl.errors import DeadlineError
from clusterctl.operations.restart import restart_cluster
from clusterctl.operations.start import start_cluster

from ...support.recording import of, recording


def test_where_nodes_cannot_be_booted_anew_they_are_powered_off_and_on(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    lab.provider.calls.clear()
    started = restart_cluster(parts)
    assert lab.provider.calls[0] == "stop lab"
    assert set(started.joined) == {"master", "node001", "node002"}


class Rebooter:
    """A provider whose nodes boot anew: each then tells another boot, after some questions."""

    def give(self, lab, *, after):
        boots = {alias: itertools.chain(["one"] * (1 + after), itertools.repeat("two")) for alias in NODES}
        lab.connector.answers = lambda ran: next(boots[ran.node]) if "boot_id" in ran.text else None
        rebooted = []

        class Rebooting(type(lab.provider)):
            def reboot(self, cluster):
                rebooted.append(cluster)

        lab.provider = Rebooting()
        return rebooted


NODES = ("master", "node001", "node002")


@pytest.mark.parametrize("after", [0, 1])
def test_else_it_waits_for_the_next_boot_of_each_and_nobody_is_powered_off(lab, log, after):
    rebooted = Rebooter().give(lab, after=after)
    parts = lab.parts(recording(log))
    start_cluster(parts)
    lab.provider.calls.clear()
    started = restart_cluster(parts)
    assert rebooted == ["lab"]
    assert "stop lab" not in lab.provider.calls
    assert started.ok
    assert of(log, "leave") == []


def test_a_node_that_does_not_come_back_is_named(lab, log):
    Rebooter().give(lab, after=10**6)
    start_cluster(lab.parts(recording(log)))
    with pytest.raises(DeadlineError, match="master, node001, node002 of lab did not come back"):
        restart_cluster(lab.parts(recording(log), start_timeout=0.2))
