"""What `selftest` checks of a cluster that runs: one function a promise, in the order in which they are made.

Each works with a `Bench` and raises `BrokenError`, or whatever it ran into.
"""

from __future__ import annotations

import json
import os
import shlex
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl import hub
from clusterctl.model import Facet, NodeState
from clusterctl.node.render import render
from clusterctl.node.run_as import as_user
from clusterctl.operations.leave import remove_nodes, stop
from clusterctl.operations.restart import restart
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.operations.start import Started, add_nodes, start
from clusterctl.providers.base import Audited, Doors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clusterctl.cluster import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import Parts
    from clusterctl.providers.audits import Audit

_WORLD = ("0.0.0.0/0", "::/0")
_ANSWER_S = 60.0
_SETTLED_S, _LOOK_S = 120.0, 0.5
_RESTART = "ipclusterrestart"
_ADDED = "added"


class BrokenError(Exception):
    """A promise does not hold; the message says how."""


@dataclass(frozen=True)
class Bench:
    """What the checks work with."""

    parts: Callable[[str | None], Parts]
    """All that an operation needs, made anew for each as each command does; with one more plugin."""
    connect: Callable[[], Any]
    """An ipyparallel client, as the user gets it: from this computer, through the tunnel."""


@dataclass(frozen=True)
class Check:
    """A promise, and what shows that it holds."""

    promise: str
    act: Callable[[Bench], None]
    needed: bool = False
    """Where it does not hold, what comes after it has no meaning."""


def require(condition: object, text: str) -> None:
    """Raise `BrokenError` with this text unless the condition holds."""
    if not condition:
        raise BrokenError(text)


def it_starts(bench: Bench) -> None:
    """All nodes are had, and join."""
    _complete(start(bench.parts(None)))


def tags_are_on_everything(bench: Bench) -> None:
    """Instances and disks say whose they are."""
    audit = _audit(bench)
    bare = [each.id for each in audit.machines if not each.marked]
    bare += [each.id for each in audit.disks if not each.marked]
    require(audit.machines and audit.disks, "there are no machines, or no disks")
    require(not bare, f"without the cluster's tags: {', '.join(bare)}")


def tokens_are_required(bench: Bench) -> None:
    """The metadata service wants a token."""
    open_ = [each.id for each in _audit(bench).machines if not each.tokens]
    require(not open_, f"IMDSv1 answers on {', '.join(open_)}")


def disks_are_encrypted(bench: Bench) -> None:
    """Every disk is."""
    plain = [each.id for each in _audit(bench).disks if not each.encrypted]
    require(not plain, f"not encrypted: {', '.join(plain)}")


def doors_are_shut(bench: Bench) -> None:
    """SSH is open to whom the config says, everything to members, and nothing else to anybody."""
    parts = bench.parts(None)
    if not isinstance(parts.provider, Doors):
        raise BrokenError("this provider has no firewall of ours")
    wanted, before = parts.provider.allow(parts.name)
    require(set(before) == set(wanted), f"SSH was open to {before}, and shall be to {wanted}")
    doors = _audit(bench).doors
    others = [door for door in doors if door.who != "members" and (door.ports, door.who in wanted) != ("tcp 22", True)]
    require(not others, f"open besides: {', '.join(f'{door.ports} to {door.who}' for door in others)}")
    require(not set(wanted) & set(_WORLD), "SSH is open to the world")
    require(any(door.who == "members" for door in doors), "members do not reach each other")


def host_keys_are_the_nodes_own(bench: Bench) -> None:
    """No node shows the key that all were born with, and each shows another one."""
    with _cluster(bench) as cluster:
        born = [node.alias for node in cluster.nodes if node.bootstrap_key]
        require(not born, f"still with the key of its birth: {', '.join(born)}")
        keys = {node.host_key for node in cluster.nodes}
        require(len(keys) == len(cluster.nodes), "two nodes have the same host key")
        cluster.each(lambda node: cluster.on(node).run("true"))


def metadata_is_for_root(bench: Bench) -> None:
    """The metadata service answers root, and the cluster user only if the template says so."""
    open_to_user = bench.parts(None).settings.cluster.metadata_for_user
    with _cluster(bench) as cluster:
        for node in cluster.nodes:
            id_ = node.id.partition("@")[0]
            root = _metadata(cluster, node, as_root=True)
            require(root == id_, f"{node.alias}: root was answered {root!r}, and the instance is {id_}")
            user = _metadata(cluster, node, as_root=False)
            if open_to_user:
                require(user == id_, f"{node.alias}: {cluster.user} was answered {user!r}")
            else:
                require(not user, f"{node.alias}: {cluster.user} was answered")


def the_user_is_the_same(bench: Bench) -> None:
    """The cluster user exists, with the same number everywhere."""
    with _cluster(bench) as cluster:
        numbers = cluster.each(lambda node: _as_user(cluster, node, "id -u"))
    require(len(set(numbers.values())) == 1, f"the user has several numbers: {numbers}")
    require("0" not in numbers.values(), "the user is root")


def the_home_is_shared(bench: Bench) -> None:
    """What an engine on a worker writes into its folder is there on the master."""
    with _cluster(bench) as cluster, _client(bench) as client:
        worker = cluster.workers[0]
        engine = hub.engine_ids(cluster)[worker.alias][0]
        file = str(worker.layout.home / "selftest.txt")
        # What is built into Python goes by its name, so that the Pythons on both sides need not be the same.
        write = client[engine].apply_async(os.system, f"printf %s {worker.alias} > {shlex.quote(file)}")
        require(write.get(timeout=_ANSWER_S) == 0, "the engine cannot write there")
        read = _as_user(cluster, cluster.master, f"cat {shlex.quote(file)}")
        require(read == worker.alias, f"the master reads {read!r}")


def members_log_in_to_each_other(bench: Bench) -> None:
    """The cluster user logs in from each node to each other one, with no password and no question."""
    with _cluster(bench) as cluster:
        for node in cluster.nodes:
            for other in cluster.nodes:
                said = _as_user(cluster, node, f"ssh -o BatchMode=yes {other.alias} hostname")
                require(said, f"{node.alias} does not get into {other.alias}")


def engines_answer(bench: Bench) -> None:
    """Every engine answers this computer."""
    with _cluster(bench) as cluster:
        nodes = {node.alias for node in cluster.nodes}
        ids = sorted(number for alias, some in hub.engine_ids(cluster).items() if alias in nodes for number in some)
    require(ids, "no engines were set up")
    with _client(bench) as client:
        # Of engines whose machines ended without a word the controller learns by their heartbeats.
        deadline = time.monotonic() + _SETTLED_S
        while sorted(client.ids) != ids and time.monotonic() < deadline:
            threading.Event().wait(_LOOK_S)
        require(sorted(client.ids) == ids, f"registered are {sorted(client.ids)}, expected {ids}")
        view = client[:]
        # Not execute(): it also waits for what engines print, and a subscription that is a moment late never gets that.
        answers = view.apply_async(os.getpid).get(timeout=_ANSWER_S)
        require(len(answers) == len(ids), "not every engine answered")


def engines_restart(bench: Bench) -> None:
    """`runplugin ipclusterrestart` replaces every engine."""
    with _cluster(bench) as cluster:
        before = dict(hub.ask(cluster).engines)
    problems = run_plugin(bench.parts(_RESTART), _RESTART)
    require(not problems, "; ".join(problems))
    with _cluster(bench) as cluster:
        after = dict(hub.ask(cluster).engines)
    same = [number for number in before if after.get(number) == before[number]]
    require(before.keys() == after.keys() and not same, f"engines before: {before}, after: {after}")
    engines_answer(bench)


def a_node_is_added(bench: Bench) -> None:
    """`addnode` lets one more join, with its engines."""
    _complete(add_nodes(bench.parts(None), [_ADDED], 1))
    engines_answer(bench)


def a_node_is_removed(bench: Bench) -> None:
    """`removenode` ends it, and the others go on."""
    remove_nodes(bench.parts(None), [_ADDED], 1)
    left = [node.alias for node in _nodes(bench)]
    require(_ADDED not in left and len(left) == 2, f"there are {', '.join(left)}")
    engines_answer(bench)


def it_stops_and_starts(bench: Bench) -> None:
    """After a stop nothing runs, and `start` brings all of it back."""
    stop(bench.parts(None))
    running = [node.alias for node in _nodes(bench) if node.state == NodeState.RUNNING]
    require(not running, f"still running: {', '.join(running)}")
    _complete(start(bench.parts(None)))
    engines_answer(bench)


def it_restarts(bench: Bench) -> None:
    """Every node boots anew, and all of it is back."""
    _complete(restart(bench.parts(None)))
    engines_answer(bench)


CHECKS = (
    Check("a master and a worker start and join", it_starts, needed=True),
    Check("instances and disks have the cluster's tags", tags_are_on_everything),
    Check("the metadata service wants tokens (IMDSv2)", tokens_are_required),
    Check("disks are encrypted", disks_are_encrypted),
    Check("SSH is open to this computer, everything to members, nothing else to anybody", doors_are_shut),
    Check("host keys are the nodes' own", host_keys_are_the_nodes_own),
    Check("the metadata service answers root alone", metadata_is_for_root),
    Check("the cluster user has the same number everywhere", the_user_is_the_same),
    Check("engines answer this computer", engines_answer, needed=True),
    Check("the home is shared", the_home_is_shared),
    Check("members log in to each other", members_log_in_to_each_other),
    Check("runplugin ipclusterrestart replaces all engines", engines_restart),
    Check("addnode adds a node and its engines", a_node_is_added),
    Check("removenode ends it", a_node_is_removed),
    Check("stop and start bring all of it back", it_stops_and_starts),
    Check("restart brings all of it back", it_restarts),
)


def _complete(started: Started) -> None:
    wrong = [*(f"{alias} did not join" for alias in started.failed), *started.problems]
    require(started.ok and not wrong, "; ".join(wrong) or "it is not complete")


def _nodes(bench: Bench) -> list[Node]:
    parts = bench.parts(None)
    return parts.provider.nodes(parts.name)


def _audit(bench: Bench) -> Audit:
    parts = bench.parts(None)
    if not isinstance(parts.provider, Audited):
        raise BrokenError("this provider does not tell how it keeps nodes")
    return parts.provider.audit(parts.name)


@contextmanager
def _cluster(bench: Bench) -> Iterator[Cluster]:
    """The nodes to talk to, by connections of their own."""
    parts = bench.parts(None)
    cluster = parts.cluster(parts.provider.nodes(parts.name))
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def _client(bench: Bench) -> Iterator[Any]:
    client = bench.connect()
    try:
        yield client
    finally:
        client.close()


def _as_user(cluster: Cluster, node: Node, command: str) -> str:
    """What the cluster user gets as the answer to a command; an error where it fails."""
    script = as_user(node, cluster.user, f"{command} </dev/null")
    sudo = Facet.MACHINE in node.facets
    return cluster.on(node).run_script(script, name="selftest", timeout_s=_ANSWER_S, sudo=sudo).stdout.strip()


def _metadata(cluster: Cluster, node: Node, *, as_root: bool) -> str:
    """The instance's id as the metadata service says it; empty where it does not answer."""
    ask = render("selftest_metadata.sh.j2")
    script = ask if as_root else as_user(node, cluster.user, ask)
    said = cluster.on(node).run_script(script, name="selftest: metadata", timeout_s=_ANSWER_S, sudo=True).stdout
    return str(json.loads(said.splitlines()[-1])["id"])
