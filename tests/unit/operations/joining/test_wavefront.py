"""The join's order: what waits for what, and that nothing waits for anything else."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.errors import PluginError, RemoteError
from clusterctl.model import MASTER
from clusterctl.operations.joining.wavefront import MAX_THREADS, NotYetError, Wavefront

PLUGINS = ("a", "b")
LONG_S = 20.0


class Acts:
    """Acts that can be held back or fail, and a record of them."""

    def __init__(self, held=(), failing=(), silent=()):
        self.gates = {act: threading.Event() for act in held}
        self.failing = set(failing)
        self.silent = set(silent)
        self.log = []
        self._changed = threading.Condition()

    def __call__(self, alias, plugin):
        self._tell("begin", alias, plugin)
        if plugin == "ssh" and alias in self.silent:
            raise NotYetError(f"{alias} is silent", remedy="wait", pause_s=0.005)
        if (alias, plugin) in self.gates:
            assert self.gates[alias, plugin].wait(LONG_S)
        if (alias, plugin) in self.failing:
            raise PluginError(f"{plugin} cannot", remedy="none")
        self._tell("end", alias, plugin)
        return 1

    def _tell(self, *what):
        with self._changed:
            self.log.append(what)
            self._changed.notify_all()

    def wait(self, *what):
        with self._changed:
            assert self._changed.wait_for(lambda: what in self.log, LONG_S), f"{what} did not happen: {self.log}"

    def began(self, alias, plugin):
        return ("begin", alias, plugin) in self.log


def aliases(count):
    return [MASTER, *(f"node{n:03d}" for n in range(1, count))]


@pytest.fixture
def run():
    """Start a wavefront in a thread of its own; returns how to wait for its end."""
    running = []

    def run(acts, nodes=3, plugins=PLUGINS, deadline_s=LONG_S, **options):
        names = aliases(nodes) if isinstance(nodes, int) else nodes
        front = Wavefront(names, plugins, act=acts, deadline_s=deadline_s, **options)
        thread = threading.Thread(target=front.run)
        thread.start()
        running.append((thread, acts))

        def end():
            thread.join(LONG_S)
            assert not thread.is_alive()
            return front.outcome

        return end

    yield run
    for thread, acts in running:
        for gate in acts.gates.values():
            gate.set()
        thread.join(LONG_S)


def test_every_node_goes_through_ssh_and_the_plugins_in_order(run):
    acts = Acts()
    outcome = run(acts)()
    assert sorted(outcome.joined) == aliases(3)
    assert outcome.failed == {}
    for alias in aliases(3):
        mine = [plugin for kind, node, plugin in acts.log if node == alias and kind == "begin"]
        assert mine == ["ssh", "a", "b"]
    assert len(outcome.steps) == 9
    assert all(step.ready_s <= step.began_s <= step.ended_s and step.commands == 1 for step in outcome.steps)


def test_a_plugin_acts_on_a_worker_only_once_it_has_acted_on_the_master(run):
    acts = Acts(held=[(MASTER, "a")])
    end = run(acts)
    acts.wait("end", "node001", "ssh")
    acts.wait("end", "node002", "ssh")
    assert not acts.began("node001", "a")
    acts.gates[MASTER, "a"].set()
    acts.wait("end", "node001", "b")
    assert acts.log.index(("end", MASTER, "a")) < acts.log.index(("begin", "node001", "a"))
    end()


def test_one_that_needs_nothing_of_the_masters_does_not_wait_for_it(run):
    acts = Acts(held=[(MASTER, "a")])
    end = run(acts, independent=["a"])
    acts.wait("end", "node001", "a")
    acts.wait("end", "node002", "a")
    assert not acts.began("node001", "b")
    acts.gates[MASTER, "a"].set()
    acts.wait("end", "node001", "b")
    assert sorted(end().joined) == aliases(3)


def test_a_plugin_acts_on_a_worker_only_once_the_one_before_it_has_acted_there(run):
    acts = Acts(held=[("node001", "a")])
    end = run(acts)
    acts.wait("end", MASTER, "b")
    assert not acts.began("node001", "b")
    acts.gates["node001", "a"].set()
    assert "node001" in end().joined


def test_a_plugin_waits_for_nothing_else(run):
    """node001 does `a` while the master is busy with `b`, and node002 does not even answer."""
    acts = Acts(held=[(MASTER, "b"), ("node002", "ssh")])
    end = run(acts)
    acts.wait("end", "node001", "a")
    acts.wait("begin", MASTER, "b")
    acts.wait("begin", "node002", "ssh")
    for gate in acts.gates.values():
        gate.set()
    assert sorted(end().joined) == aliases(3)


def test_a_straggler_delays_only_itself(run):
    joined, acts = [], Acts(held=[("node002", "ssh")])
    all_others = threading.Event()

    def on_joined(alias):
        joined.append(alias)
        if len(joined) == 4:
            all_others.set()

    end = run(acts, nodes=5, on_joined=on_joined)
    assert all_others.wait(LONG_S)
    assert sorted(joined) == [alias for alias in aliases(5) if alias != "node002"]
    acts.gates["node002", "ssh"].set()
    assert end().joined[-1] == "node002"


def test_each_step_says_what_it_waited_for_last(run):
    acts = Acts(held=[(MASTER, "a"), ("node002", "ssh")])
    end = run(acts)
    acts.wait("end", "node001", "ssh")
    acts.gates[MASTER, "a"].set()
    acts.wait("end", MASTER, "a")
    acts.wait("end", "node001", "a")
    acts.wait("end", MASTER, "b")
    acts.gates["node002", "ssh"].set()
    waited = {(step.node, step.plugin): step.waited_for for step in end().steps}
    assert waited[MASTER, "ssh"] == ""
    assert waited[MASTER, "a"] == "master/ssh"
    assert waited["node001", "a"] == "master/a"
    assert waited["node002", "a"] == "node002/ssh"
    assert waited["node002", "b"] == "node002/a"


def test_a_plugin_that_raises_fails_one_node_and_the_others_join(run):
    acts = Acts(failing=[("node001", "a")])
    outcome = run(acts, nodes=4)()
    assert sorted(outcome.joined) == [MASTER, "node002", "node003"]
    assert list(outcome.failed) == ["node001"]
    assert outcome.failed["node001"].message == "a cannot"
    assert not acts.began("node001", "b")
    assert [step.error for step in outcome.steps if step.error] == ["a cannot"]


def test_a_bug_in_an_act_fails_one_node_too(run):
    def act(alias, plugin):
        if alias == "node001":
            raise ZeroDivisionError("oh")
        return 0

    act.gates = {}
    outcome = run(act)()
    assert isinstance(outcome.failed["node001"], RemoteError)
    assert "ZeroDivisionError: oh" in outcome.failed["node001"].message
    assert sorted(outcome.joined) == [MASTER, "node002"]


def test_a_master_that_fails_ends_the_whole_at_once_with_its_reason(run):
    acts = Acts(held=[("node001", "ssh")], failing=[(MASTER, "a")])
    outcome = run(acts, nodes=3)()  # node001 is still held: nobody waits for it
    assert outcome.joined == []
    assert sorted(outcome.failed) == aliases(3)
    assert {error.message for error in outcome.failed.values()} == {"a cannot"}


def test_nothing_new_begins_once_it_is_over(run):
    """Acts that wait for a free thread when time is up are dropped, not run behind the scenes."""
    crowd = aliases(MAX_THREADS * 2)
    acts = Acts(held=[(alias, "ssh") for alias in crowd])
    run(acts, nodes=crowd, deadline_s=0.3)()
    begun = len(acts.log)
    for gate in acts.gates.values():
        gate.set()
    until(lambda: not [thread for thread in threading.enumerate() if "_worker" in thread.name])
    assert [entry for entry in acts.log[begun:] if entry[0] == "begin"] == []


def test_a_free_thread_takes_a_plugin_before_a_login(run):
    """The master's first plugin does not queue behind the logins of a thousand machines that still boot."""
    crowd = aliases(MAX_THREADS * 4)
    acts = Acts()

    def act(alias, plugin):
        if plugin == "ssh" and alias != MASTER:
            time.sleep(0.02)
        return acts(alias, plugin)

    act.gates = {}
    run(act, nodes=crowd)()
    assert acts.log.index(("begin", MASTER, "b")) < acts.log.index(("begin", crowd[-1], "ssh"))


def test_those_that_are_only_knocked_at_take_no_thread_and_delay_nobody(run):
    crowd = aliases(MAX_THREADS * 3)
    silent = set(crowd[1:-1])
    acts = Acts()

    def knock(alias, then):
        if alias not in silent:
            then()

    outcome = run(acts, nodes=crowd, when_reachable=knock, deadline_s=1.0)()
    assert sorted(outcome.joined) == sorted({*crowd} - silent)
    assert outcome.failed.keys() == silent
    assert all("did not answer when" in error.message for error in outcome.failed.values())
    assert not any(acts.began(alias, "ssh") for alias in silent)


def test_a_node_is_knocked_at_again_after_each_try_that_came_too_early(run):
    knocked, acts = [], Acts(silent=["node001"])

    def knock(alias, then):
        knocked.append(alias)
        if knocked.count("node001") == 3:
            acts.silent.clear()
        then()

    assert sorted(run(acts, nodes=2, when_reachable=knock)().joined) == aliases(2)
    assert knocked.count("node001") == 3


def test_members_join_without_the_master_when_it_is_a_member_already(run):
    outcome = run(Acts(), nodes=["node001", "node002"])()
    assert sorted(outcome.joined) == ["node001", "node002"]


def test_nobody_to_join_is_done_at_once(run):
    outcome = run(Acts(), nodes=[])()
    assert (outcome.joined, outcome.failed, outcome.steps) == ([], {}, [])


def test_without_plugins_a_node_has_joined_when_it_answers(run):
    assert sorted(run(Acts(), plugins=())().joined) == aliases(3)


def test_nodes_that_do_not_answer_yet_occupy_no_thread(run):
    """More silent nodes than threads, all asked first: the one that answers joins all the same."""
    silent = [f"node{n:03d}" for n in range(1, MAX_THREADS + 9)]
    acts = Acts(silent=silent)
    joined = threading.Event()
    end = run(acts, nodes=[*silent, MASTER], on_joined=lambda _: joined.set())
    assert joined.wait(5)
    acts.silent.clear()
    assert len(end().joined) == len(silent) + 1


def test_a_node_that_does_not_answer_yet_is_asked_again_and_joins(run):
    acts = Acts(silent=["node001"])
    end = run(acts, nodes=2)
    acts.wait("end", MASTER, "b")
    acts.silent.clear()
    outcome = end()
    assert sorted(outcome.joined) == aliases(2)
    assert acts.log.count(("begin", "node001", "ssh")) >= 2
    assert next(s for s in outcome.steps if (s.node, s.plugin) == ("node001", "ssh")).error == ""


def test_the_deadline_names_who_is_missing_and_why(run):
    acts = Acts(held=[("node002", "b")], silent=["node001"])
    outcome = run(acts, deadline_s=0.6)()
    assert outcome.joined == [MASTER]
    assert outcome.failed["node001"].message.startswith("node001 did not answer when the 1 s of START_TIMEOUT")
    assert "node002 was still busy with plugin b" in outcome.failed["node002"].message
    assert all("START_TIMEOUT" in error.remedy for error in outcome.failed.values())


def test_the_deadline_tells_the_users_own_number_however_little_was_left(run):
    outcome = run(Acts(silent={"node001"}), deadline_s=0.3, timeout_s=20)()
    assert "when the 20 s of START_TIMEOUT were over" in outcome.failed["node001"].message


def test_the_deadline_says_who_was_waiting_for_the_master(run):
    acts = Acts(held=[(MASTER, "a")])
    outcome = run(acts, deadline_s=0.5)()
    assert "master was still busy with plugin a" in outcome.failed[MASTER].message
    assert "node001 was waiting for the master" in outcome.failed["node001"].message


def test_200_nodes_need_no_more_threads_than_there_may_be(run):
    before, seen = threading.active_count(), []

    def act(alias, plugin):
        seen.append(threading.active_count())
        return 0

    act.gates = {}
    outcome = run(act, nodes=200)()
    assert len(outcome.joined) == 200
    assert len(outcome.steps) == 600
    assert max(seen) <= before + MAX_THREADS + 1  # the one that runs the wavefront


def test_threads_end_with_the_wavefront(run):
    before = threading.active_count()
    run(Acts(), nodes=10)()
    until(lambda: threading.active_count() <= before)


NAMES = aliases(6)
ACTS = [(alias, plugin) for alias in NAMES for plugin in ("ssh", *PLUGINS)]


@given(failing=st.sets(st.sampled_from(ACTS), max_size=6), slow=st.sets(st.sampled_from(NAMES), max_size=3))
def test_whatever_fails_every_node_has_either_joined_or_failed_and_the_order_held(failing, slow):
    acts = Acts(failing=failing, silent=slow)
    tries = dict.fromkeys(slow, 0)

    def act(alias, plugin):
        if plugin == "ssh" and alias in slow:
            tries[alias] += 1
            if tries[alias] > 1:
                acts.silent.discard(alias)
        return acts(alias, plugin)

    outcome = Wavefront(NAMES, PLUGINS, act=act, deadline_s=LONG_S).run()
    assert set(outcome.joined) ^ set(outcome.failed) == set(NAMES)
    assert len(outcome.joined) == len(set(outcome.joined))
    master_failed = any(alias == MASTER for alias, _ in failing)
    for alias in NAMES:
        own = any(node == alias for node, _ in failing)
        assert (alias in outcome.failed) == (own or master_failed)
    for plugin in PLUGINS:
        for alias in NAMES[1:]:
            if ("begin", alias, plugin) in acts.log:
                assert acts.log.index(("end", MASTER, plugin)) < acts.log.index(("begin", alias, plugin))


def until(true):
    deadline = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
