"""`start`, and all that is the same as `start`: completing, repairing, adding nodes."""

from __future__ import annotations

import json
import threading

import pytest

from clusterctl.api import Connection, Field, Request, Section, StatusRow, hookimpl
from clusterctl.errors import ClusterctlError, ConfigError, PluginError, ProviderError, StateError, UsageError
from clusterctl.events import EventKind
from clusterctl.model import NodeState, Problem
from clusterctl.operations import leave, status
from clusterctl.operations import start as launch
from clusterctl.operations.joining import join
from clusterctl.operations.plan import make_plan
from clusterctl.operations.start import add_nodes, start_cluster


class Options(Section):
    speed: int = Field(1, description="how fast")


def recording(log, **faults):
    """A plugin that implements every hook, writes down each call, and raises where it is told to."""

    def said(name, *what):
        log.append((name, *what))

    def plugin(name):
        class Recording:
            def __init__(self, options):
                self.options = options

            @staticmethod
            def clusterctl_settings():
                said(name, "settings")
                return Options

            @hookimpl
            def clusterctl_request(self):
                said(name, "request")
                return Request(pip=(f"{name}-package",))

            @hookimpl
            def clusterctl_prepare(self, cluster, plan):
                said(name, "prepare", *(spec.alias for spec in plan.nodes))
                fail("prepare")

            @hookimpl
            def clusterctl_join(self, cluster, node):
                said(name, "join", node.alias)
                fail(f"join {node.alias}")

            @hookimpl
            def clusterctl_members(self, cluster):
                said(name, "members", *(node.alias for node in cluster.nodes if node.reachable))
                fail("members")

            @hookimpl
            def clusterctl_connect(self, cluster):
                said(name, "connect")
                fail("connect")
                return Connection(name, host="127.0.0.1", ports={"web": 80}, document={"who": name})

            @hookimpl
            def clusterctl_leave(self, cluster, node):
                said(name, "leave", node.alias, *([] if node.reachable else ["unreachable"]))
                fail(f"leave {node.alias}")

            @hookimpl
            def clusterctl_run(self, cluster):
                said(name, "run")

            @hookimpl
            def clusterctl_status(self, cluster):
                said(name, "status")
                fail("status")
                return [StatusRow(node.alias, name, "fine") for node in cluster.nodes]

        def fail(moment):
            fault = faults.get(name, {}).get(moment)
            if fault:
                raise fault

        Recording.clusterctl_settings = staticmethod(hookimpl(Recording.clusterctl_settings))
        return Recording

    return {name: plugin(name) for name in ("a", "b")}


@pytest.fixture
def log():
    return []


def of(log, moment):
    return [entry for entry in log if entry[1] == moment]


def test_the_order_of_the_whole_lifecycle(lab, log):
    parts = lab.parts(recording(log))
    started = start_cluster(parts)
    status.query_status(parts)
    leave.terminate_cluster(parts)

    joins = [entry for entry in log if entry[1] == "join"]
    first, last = log.index(joins[0]), log.index(joins[-1])
    # Before anything exists, plugin by plugin; then the joins; then once for all.
    assert log[:first] == [
        ("a", "settings"),
        ("b", "settings"),
        ("a", "request"),
        ("b", "request"),
        ("a", "prepare", "master", "node001", "node002"),
        ("b", "prepare", "master", "node001", "node002"),
    ]
    assert log[first : last + 1] == joins
    assert sorted(joins) == [(p, "join", n) for p in ("a", "b") for n in ("master", "node001", "node002")]
    for node in ("node001", "node002"):
        for plugin in ("a", "b"):
            assert joins.index((plugin, "join", "master")) < joins.index((plugin, "join", node))
        assert joins.index(("a", "join", node)) < joins.index(("b", "join", node))
    assert log[last + 1 : last + 7] == [
        ("a", "members", "master", "node001", "node002"),
        ("b", "members", "master", "node001", "node002"),
        ("a", "connect"),
        ("b", "connect"),
        ("a", "status"),
        ("b", "status"),
    ]
    # The workers leave side by side, each in reversed order; the master after them.
    goodbyes = log[last + 7 :]
    for node in ("node001", "node002"):
        assert [entry for entry in goodbyes if entry[2] == node] == [("b", "leave", node), ("a", "leave", node)]
    assert goodbyes[-2:] == [("b", "leave", "master"), ("a", "leave", "master")]
    assert len(goodbyes) == 6
    assert started.ok
    assert lab.provider.nodes() == []


def test_start_creates_what_was_asked_and_everybody_joins(lab, log):
    started = start_cluster(lab.parts(recording(log), cluster_size=2))
    assert lab.provider.calls == ["check lab", "create lab master node001"]
    assert (started.ok, sorted(started.joined), started.failed, started.problems) == (
        True,
        ["master", "node001"],
        (),
        (),
    )
    assert [c.name for c in started.published] == ["a", "b"]
    assert json.loads(started.published[0].file.read_text()) == {"who": "a", "web": 80}
    assert "Starting 2 nodes of lab (local): master, node001" in lab.said
    assert "Waiting for 2 nodes to join: a > b" in lab.said


def test_the_timings_say_who_waited_for_what(lab, log):
    parts = lab.parts(recording(log))
    started = start_cluster(parts)
    kept = json.loads((parts.folder.path / "timings.json").read_text())
    assert kept["commands"] == started.commands
    acts = [step["plugin"] for step in kept["steps"] if step["node"] == "laptop"]
    assert acts == ["plan", "create", "members", "connect", "publish"]
    worker = {s["plugin"]: s["waited_for"] for s in kept["steps"] if s["node"] == "node001"}
    assert worker["ssh"] == ""
    assert worker["a"] in {"master/a", "node001/ssh"}
    assert max(step["ended_s"] for step in kept["steps"]) <= started.seconds


def test_start_on_members_does_nothing_and_says_where_it_is(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    again = start_cluster(lab.parts(recording(log)))
    assert of(log, "join") == []
    assert of(log, "members") == []
    assert again.ok
    assert again.joined == ()
    assert [c.name for c in again.published] == ["a", "b"]
    assert len(lab.provider.machines) == 3


def test_a_service_that_is_not_well_makes_start_join_everybody_again(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    again = start_cluster(lab.parts(recording(log, a={"status": PluginError("no answer", remedy="none")})))
    assert sorted(again.joined) == ["master", "node001", "node002"]


def test_other_options_make_the_members_join_again(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    again = start_cluster(lab.parts(recording(log), options={"a.speed": "2"}))
    assert sorted(again.joined) == ["master", "node001", "node002"]
    assert of(log, "leave") == []


def test_a_start_that_was_killed_is_completed_by_the_next(lab, log):
    """Killed after two of three had joined: only the third joins."""
    parts = lab.parts(recording(log))
    start_cluster(parts)
    kept = parts.folder.journal_file.read_text().splitlines()
    parts.folder.journal_file.write_text(
        "".join(line + "\n" for line in kept if not ("joined" in line and "node002" in line))
    )
    del log[:]
    assert start_cluster(lab.parts(recording(log))).joined == ("node002",)
    assert of(log, "join") == [("a", "join", "node002"), ("b", "join", "node002")]
    assert of(log, "members") == [(p, "members", "master", "node001", "node002") for p in ("a", "b")]


def test_a_lost_node_is_replaced_after_plugins_said_goodbye_for_it(lab, log):
    start_cluster(lab.parts(recording(log)))
    lab.provider.lose("lab", "node001")
    del log[:]
    again = start_cluster(lab.parts(recording(log)))
    assert again.joined == ("node001",)
    assert of(log, "leave") == [("b", "leave", "node001", "unreachable"), ("a", "leave", "node001", "unreachable")]
    assert log.index(("a", "leave", "node001", "unreachable")) < log.index(("a", "join", "node001"))


def test_after_a_stop_all_join_again_without_goodbyes(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    leave.stop_cluster(parts)
    del log[:]
    again = start_cluster(lab.parts(recording(log)))
    assert sorted(again.joined) == ["master", "node001", "node002"]
    assert of(log, "leave") == []


def test_the_journal_may_be_lost_and_the_provider_still_knows_the_size(lab, log):
    parts = lab.parts(recording(log), cluster_size=2)
    start_cluster(parts)
    parts.folder.delete_folder()
    again = start_cluster(lab.parts(recording(log)))  # the template says 3
    assert [node.alias for node in again.nodes] == ["master", "node001"]
    assert sorted(again.joined) == ["master", "node001"]


def test_another_size_of_a_cluster_that_exists_is_refused_with_the_way_to_get_it(lab, log):
    start_cluster(lab.parts(recording(log)), explicit_size=3)
    assert start_cluster(lab.parts(recording(log)), explicit_size=3).ok
    with pytest.raises(UsageError, match="lab exists and has 3 nodes") as caught:
        start_cluster(lab.parts(recording(log)), explicit_size=5)
    assert "addnode -n 2 lab" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        start_cluster(lab.parts(recording(log)), explicit_size=1)
    assert "removenode -n 2 lab" in caught.value.remedy


class TestNothingIsCreatedAndNothingIsLeft:
    def test_a_provider_that_refuses_leaves_no_folder(self, lab, log):
        lab.provider.refusal = ProviderError("no capacity", remedy="try another zone")
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError, match="no capacity"):
            start_cluster(parts)
        assert not parts.folder.path.exists()
        assert of(log, "join") == []

    def test_a_problem_that_the_provider_sees_before(self, lab, log):
        lab.provider.problems = [Problem("too many", remedy="fewer"), Problem("no key", remedy="a key")]
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError) as caught:
            start_cluster(parts)
        assert caught.value.message == "too many\nno key"
        assert caught.value.remedy == "fewer; a key"
        assert lab.provider.machines == {}
        assert not parts.folder.path.exists()

    def test_a_plugin_that_cannot_prepare(self, lab, log):
        parts = lab.parts(recording(log, b={"prepare": ValueError("oh")}))
        with pytest.raises(PluginError, match="plugin b: ValueError: oh"):
            start_cluster(parts)
        assert not any(call.startswith("create") for call in lab.provider.calls)
        assert not parts.folder.path.exists()

    @pytest.mark.parametrize("answer", [ZeroDivisionError("oh"), None, dict])
    def test_a_plugin_whose_settings_are_none(self, lab, answer):
        class Wrong:
            @staticmethod
            def clusterctl_settings():
                if isinstance(answer, Exception):
                    raise answer
                return answer

        with pytest.raises(ConfigError, match="clusterctl_settings"):
            lab.parts({"wrong": Wrong})

    def test_two_plugins_that_want_the_same_file_differently(self, lab):
        def wanting(content):
            class Wanting:
                def __init__(self, options):
                    pass

                @hookimpl
                def clusterctl_request(self):
                    return Request(files={"x": content})

            return Wanting

        parts = lab.parts({"one": wanting("1"), "two": wanting("2")})
        with pytest.raises(ConfigError, match="plugin two and another one both want to write x"):
            start_cluster(parts)
        assert not parts.folder.path.exists()

    def test_a_bad_name(self, lab, log):
        parts = lab.parts(recording(log), name="-x")
        with pytest.raises(UsageError):
            start_cluster(parts)
        assert not parts.folder.path.exists()

    def test_what_existed_before_is_kept(self, lab, log):
        parts = lab.parts(recording(log))
        start_cluster(parts)
        lab.provider.refusal = ProviderError("no capacity", remedy="wait")
        with pytest.raises(ProviderError):
            start_cluster(lab.parts(recording(log)))
        assert parts.folder.exists
        assert len(lab.provider.nodes()) == 3


class TestCtrlC:
    @pytest.fixture
    def interrupted(self, lab):
        """Ctrl-C while the nodes are being waited for."""

        def report(event):
            lab.events.append(event)
            if event.text.startswith("Waiting for") and event.kind == EventKind.STEP:
                raise KeyboardInterrupt

        return report

    def test_it_ends_a_cluster_that_this_start_made(self, lab, log, interrupted):
        lab.report = interrupted
        parts = lab.parts(recording(log))
        with pytest.raises(KeyboardInterrupt):
            start_cluster(parts)
        assert lab.provider.nodes() == []
        assert not parts.folder.path.exists()
        assert "Interrupted: ending what this start made of lab" in lab.said

    def test_it_leaves_one_that_was_there_alone(self, lab, log, interrupted):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        lab.report = interrupted
        parts = lab.parts(recording(log), cluster_size=2)
        with pytest.raises(KeyboardInterrupt):
            add_nodes(parts, [], 1)
        assert len(lab.provider.nodes()) == 3
        assert parts.folder.wanted_nodes() == ("master", "node001", "node002")

    def test_an_undo_that_fails_keeps_the_cause_and_says_what_may_run(self, lab, log, interrupted):
        lab.report = interrupted
        lab.provider.stuck = ("node001",)
        with pytest.raises(KeyboardInterrupt):
            start_cluster(lab.parts(recording(log)))
        assert "nodes may still be running: `clusterctl terminate lab` ends them" in lab.warnings[-1]
        assert "node001" in lab.warnings[-1]


class TestMinSize:
    def test_a_node_that_fails_makes_the_start_incomplete(self, lab, log):
        parts = lab.parts(recording(log, b={"join node002": ValueError("boom")}))
        started = start_cluster(parts)
        assert not started.ok
        assert started.failed == ("node002",)
        assert sorted(started.joined) == ["master", "node001"]
        assert any("node002" in problem and "boom" in problem for problem in started.problems), started.problems
        assert any("node002" in warning and "boom" in warning for warning in lab.warnings)

    def test_but_not_where_enough_have_joined(self, lab, log):
        started = start_cluster(lab.parts(recording(log, b={"join node002": ValueError("boom")}), min_size=2))
        assert started.ok
        assert started.failed == ("node002",)

    def test_one_too_few_is_not_enough(self, lab, log):
        faults = {"join node002": ValueError("boom"), "join node001": ValueError("boom")}
        assert not start_cluster(lab.parts(recording(log, b=faults), min_size=2)).ok

    def test_something_wrong_with_what_has_joined_is_not_forgiven(self, lab, log):
        parts = lab.parts(recording(log, b={"connect": ValueError("boom")}), min_size=2)
        started = start_cluster(parts)
        assert not started.ok
        assert len(started.joined) == 3
        assert [c.name for c in started.published] == ["a"]

    def test_a_node_that_never_answers_is_named_with_the_reason(self, lab, log):
        lab.connector.down = {"node001"}
        parts = lab.parts(recording(log), start_timeout=0.5, min_size=2)
        started = start_cluster(parts)
        assert started.failed == ("node001",)
        assert started.ok
        assert any("node001 did not answer" in warning for warning in lab.warnings), lab.warnings
        assert any("node001 did not answer" in problem for problem in started.problems)
        assert ("a", "members", "master", "node002") in log
        assert len(lab.provider.nodes()) == 3  # its machine stays for the next start

    def test_the_next_start_goes_on_with_the_missing_one(self, lab, log):
        lab.connector.down = {"node001"}
        start_cluster(lab.parts(recording(log), start_timeout=0.5))
        lab.connector.down = set()
        again = start_cluster(lab.parts(recording(log)))
        assert again.joined == ("node001",)
        assert again.ok

    def test_a_machine_that_refuses_at_first_joins_when_it_answers(self, lab, log):
        lab.connector.refusals = {"node001": 2}
        started = start_cluster(lab.parts(recording(log)))
        assert started.ok
        assert started.joined[-1] == "node001"


class TestMaster:
    @pytest.fixture(autouse=True)
    def _look_often(self, monkeypatch):
        monkeypatch.setattr(join, "_ALIVE_EVERY_S", 0.05)

    def test_a_master_that_cannot_join_fails_the_start_and_its_nodes_stay(self, lab, log):
        parts = lab.parts(recording(log, a={"join master": ValueError("boom")}))
        with pytest.raises(PluginError, match="boom") as caught:
            start_cluster(parts)
        assert "the nodes stay" in caught.value.remedy
        assert "terminate" in caught.value.remedy
        assert len(lab.provider.nodes()) == 3
        assert parts.folder.exists
        assert of(log, "members") == []

    def test_a_cloud_that_does_not_answer_while_waiting_takes_no_file_away(self, lab, log):
        """The machines exist: their key must not go, whatever the provider says later."""
        asked = threading.Event()

        class Moody(type(lab.provider)):
            def nodes(self, cluster=None):
                if asked.is_set():
                    raise ProviderError("throttled", remedy="wait")
                return super().nodes(cluster)

            def create(self, plan, *, public_key, report):
                made = super().create(plan, public_key=public_key, report=report)
                asked.set()
                return made

        lab.provider = Moody()
        lab.connector.down = {"master"}
        parts = lab.parts(recording(log), start_timeout=0.4)
        with pytest.raises(ClusterctlError):
            start_cluster(parts)
        assert parts.folder.private_key_file.exists()

    def test_a_node_that_dies_while_it_is_waited_for_is_given_up_early(self, lab, log):
        lab.connector.down = {"node001"}

        def report(event):
            lab.events.append(event)
            if event.kind == EventKind.STEP and event.text.startswith("Waiting"):
                lab.provider.power_off("lab", "node001")

        lab.report = report
        started = start_cluster(lab.parts(recording(log), start_timeout=30))
        assert started.seconds < 10
        assert started.failed == ("node001",)
        assert any("node001 ended before it answered" in problem for problem in started.problems)


class TestAddNodes:
    def test_new_nodes_take_the_next_free_numbers_and_only_they_join(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        del log[:]
        added = add_nodes(lab.parts(recording(log)), [], 2)
        assert sorted(added.joined) == ["node002", "node003"]
        assert {entry[2] for entry in of(log, "join")} == {"node002", "node003"}
        assert of(log, "members")[0] == ("a", "members", "master", "node001", "node002", "node003")

    def test_they_can_be_named(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=1))
        assert add_nodes(lab.parts(recording(log)), ["big", "small"], 1).joined == ("big", "small")

    def test_a_name_that_is_taken_is_refused(self, lab, log):
        start_cluster(lab.parts(recording(log)))
        with pytest.raises(UsageError, match="node001 exists in lab"):
            add_nodes(lab.parts(recording(log)), ["node001"], 1)

    def test_a_bad_name_is_refused(self, lab, log):
        start_cluster(lab.parts(recording(log)))
        with pytest.raises(UsageError):
            add_nodes(lab.parts(recording(log)), ["a b"], 1)

    def test_a_cluster_that_does_not_exist_is_not_made_and_leaves_no_folder(self, lab, log):
        parts = lab.parts(recording(log))
        with pytest.raises(UsageError, match="there is no cluster lab"):
            add_nodes(parts, [], 1)
        assert not parts.folder.path.exists()

    def test_what_the_provider_refused_is_not_wanted_by_the_next_start(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        lab.provider.refusal = ProviderError("no capacity", remedy="wait")
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError):
            add_nodes(parts, [], 1)
        assert parts.folder.wanted_nodes() == ("master", "node001")


def test_another_process_at_work_is_named_and_nothing_is_done(lab, log):
    parts = lab.parts(recording(log))
    with parts.folder.exclusive_lock(), pytest.raises(StateError, match="another clusterctl is at work on lab"):
        start_cluster(lab.parts(recording(log)))
    assert lab.provider.calls == []


def test_members_that_fail_are_reported_and_the_others_are_told(lab, log):
    started = start_cluster(lab.parts(recording(log, a={"members": ValueError("boom")})))
    assert not started.ok
    assert any("plugin a: ValueError: boom" in problem for problem in started.problems)
    assert of(log, "members")[-1][0] == "b"


def test_a_status_that_says_nothing_is_a_healthy_one(lab):
    """A third party's plugin that forgets its return statement."""

    class Forgetful:
        def __init__(self, options):
            pass

        @hookimpl
        def clusterctl_status(self, cluster):
            pass

    start_cluster(lab.parts({"f": Forgetful}))
    assert start_cluster(lab.parts({"f": Forgetful})).joined == ()


def test_states_of_a_stopped_machine_are_seen(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    leave.stop_cluster(parts)
    assert {node.state for node in lab.provider.nodes("lab")} == {NodeState.STOPPED}


class TestWhatCannotBeHad:
    """Nodes that a provider does not give to a cluster that it gives others to."""

    def test_is_named_and_makes_the_start_incomplete(self, lab, log):
        lab.provider.scarce = {"node002"}
        started = start_cluster(lab.parts(recording(log)))
        assert (started.failed, started.ok) == (("node002",), False)
        assert set(started.joined) == {"master", "node001"}
        lab.provider.scarce = set()
        started = start_cluster(lab.parts(recording(log)))
        assert (started.joined, started.ok) == (("node002",), True)

    def test_is_forgiven_where_enough_have_joined(self, lab, log):
        lab.provider.scarce = {"node002"}
        assert start_cluster(lab.parts(recording(log), min_size=2)).ok

    def test_a_refusal_that_leaves_something_keeps_the_folder(self, lab, log):
        class Careless(type(lab.provider)):
            def create(self, plan, *, public_key, report):
                super().create(plan, public_key=public_key, report=report)
                raise ProviderError("half-way", remedy="see")

        lab.provider = Careless()
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError):
            start_cluster(parts)
        assert parts.folder.wanted_nodes() == ("master", "node001", "node002")


def test_what_a_node_was_asked_for_with_is_remembered_until_it_is_removed(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    launch.add_nodes(parts, (), 1, differing={"types": ("r7i.large",), "market": "spot"})
    spec = make_plan(parts, ("node002", "node003")).nodes
    assert [(each.types, each.market) for each in spec] == [((), ""), (("r7i.large",), "spot")]
    leave.remove_nodes(parts, ["node003"], 0)
    assert make_plan(parts, ("node003",)).nodes[0].types == ()
