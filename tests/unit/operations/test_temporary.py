"""A cluster for a while: what was started ends, and what was there before is as it was."""

from __future__ import annotations

import json

import pytest

from clusterctl.api import Deadline, Plugin, hookimpl
from clusterctl.errors import StateError, UsageError
from clusterctl.model import NodeState
from clusterctl.operations.leave import stop_cluster, terminate_cluster
from clusterctl.operations.start import start_cluster
from clusterctl.operations.temporary import Before, bring_up, end_temporary, find_before
from clusterctl.operations.temporary.leash import leash


def use(parts, size=None):
    """What a program gets; ends at once what it would end."""
    before = find_before(parts)
    temporary = bring_up(parts, before, size)
    aliases = sorted(node.alias for node in parts.provider.nodes(parts.name) if node.state == NodeState.RUNNING)
    end_temporary(parts, temporary)
    return before, len(aliases)


def states(parts):
    return sorted(node.state.value for node in parts.provider.nodes(parts.name))


def test_one_that_was_not_there_is_started_and_terminated(lab):
    parts = lab.parts(cluster_size=2)
    assert use(parts) == (Before.NOTHING, 2)
    assert states(parts) == []
    assert not parts.folder.exists


def test_one_that_was_up_stays_up_and_is_not_started(lab):
    parts = lab.parts(cluster_size=2)
    start_cluster(parts)
    lab.events.clear()
    assert use(parts) == use(parts, 1) == use(parts, 2) == (Before.UP, 2)
    assert states(parts) == ["running"] * 2
    assert lab.said == []


def test_one_that_was_stopped_is_stopped_again(lab):
    parts = lab.parts(cluster_size=2)
    start_cluster(parts)
    stop_cluster(parts)
    assert use(parts) == (Before.AT_REST, 2)
    assert states(parts) == ["stopped"] * 2


def test_one_that_is_smaller_grows_and_stays_so(lab):
    parts = lab.parts(cluster_size=1)
    start_cluster(parts)
    assert use(parts, 3) == (Before.UP, 3)
    assert states(parts) == ["running"] * 3


def test_what_is_missing_of_one_that_is_up_is_completed(lab):
    parts = lab.parts(cluster_size=3)
    start_cluster(parts)
    lab.provider.lose("lab", "node001")
    assert use(parts) == (Before.UP, 3)


class Broken(Plugin):
    @hookimpl
    def clusterctl_join(self, node):
        if node.alias != "master":
            raise StateError("no room", remedy="make room")


class Master(Plugin):
    @hookimpl
    def clusterctl_join(self, node):
        raise StateError("no room", remedy="make room")


@pytest.mark.parametrize("plugin", [Broken, Master])
def test_a_start_that_fails_is_an_error_and_leaves_nothing(lab, plugin):
    parts = lab.parts({"a": plugin}, cluster_size=2)
    with pytest.raises(Exception, match="no room"):
        bring_up(parts, find_before(parts), None)
    assert states(parts) == []


def test_ctrl_c_while_it_starts_leaves_nothing(lab):
    class Interrupted(Plugin):
        @hookimpl
        def clusterctl_connect(self):
            raise KeyboardInterrupt

    parts = lab.parts({"a": Interrupted}, cluster_size=2)
    with pytest.raises(KeyboardInterrupt):
        bring_up(parts, find_before(parts), None)
    assert states(parts) == []


def test_what_engines_of_others_hold_is_not_ended(lab):
    class Ending(Plugin):
        @hookimpl
        def clusterctl_prepare(self, cluster):
            cluster.will_end("2 engines with what is in memory")

    start_cluster(lab.parts(cluster_size=1))
    parts = lab.parts({"a": Ending}, cluster_size=1)
    with pytest.raises(UsageError, match="would end 2 engines"):
        bring_up(parts, find_before(parts), 2)
    assert states(parts) == ["running"]


def test_another_cluster_of_the_name_is_left_alone(lab):
    parts = lab.parts(cluster_size=1)
    temporary = bring_up(parts, find_before(parts), None)
    terminate_cluster(parts)
    start_cluster(parts)
    end_temporary(parts, temporary)
    assert states(parts) == ["running"]
    assert "lab is another cluster by now: it is left as it is" in lab.warnings


def test_an_end_that_fails_says_what_may_be_left(lab, monkeypatch):
    parts = lab.parts(cluster_size=1)
    temporary = bring_up(parts, find_before(parts), None)

    def refuse(name):
        raise StateError("no", remedy="again")

    monkeypatch.setattr(lab.provider, "destroy", refuse)
    with pytest.raises(StateError):
        end_temporary(parts, temporary)
    assert "nodes of lab may still run: `clusterctl terminate lab` ends them" in lab.warnings


def test_a_program_has_its_cluster_on_a_leash_and_beats_as_long_as_it_lives(lab):
    parts = lab.parts()
    start_cluster(parts)
    with leash(parts, client_s=300.0, every_s=0.001):
        for _ in Deadline.after(10).polls(0.005):
            beats = [ran for ran in lab.connector.ran if ran.name == "ending: beat"]
            if len(beats) > 1:
                break
    (terms,) = [ran.text for ran in lab.connector.ran if ran.name == "ending: terms"]
    assert '"client_s": 300.0' in terms
    first, second = (json.loads(ran.text.split("'%s\\n' '")[1].split("'")[0]) for ran in beats[:2])
    assert (first["id"], first["count"], second["count"]) == (second["id"], 1, 2)


def test_beats_that_fail_are_sent_again(lab):
    parts = lab.parts()
    start_cluster(parts)
    failures = iter([StateError("cut off", remedy="wait")] * 2)
    lab.connector.answers = {"ending: beat": lambda _: next(failures, "")}
    with leash(parts, every_s=0.001):
        for _ in Deadline.after(10).polls(0.005):
            if sum(ran.name == "ending: beat" for ran in lab.connector.ran) > 2:
                break
    assert next(failures, None) is None
