"""The checks of `selftest` on a running cluster: one function for each promise, in the order that they run.

Each check takes the context of the checks. It raises an error where its promise does not hold.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.clock import Deadline
from clusterctl.model import Facet, NodeState
from clusterctl.node.programs import run_program
from clusterctl.node.run_as import as_user
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.leave import remove_nodes, stop_cluster
from clusterctl.operations.restart import restart_cluster
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.operations.selftest import account_checks
from clusterctl.operations.selftest.context import CheckContext, CheckFailedError, require_that
from clusterctl.operations.start import StartResult, start_cluster
from clusterctl.providers.base import Firewall

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node

_WORLD = ("0.0.0.0/0", "::/0")
_ANSWER_S = 60.0
_SETTLED_S, _LOOK_S = 120.0, 0.5
_RESTART = "ipclusterrestart"
_ADDED = "added"
_TELL_INSTANCE = "clusterctl.on_node.system.tell_instance"
_METADATA = "http://169.254.169.254"


@dataclass(frozen=True)
class Check:
    """A promise, and the function that checks it."""

    promise: str
    run_check: Callable[[CheckContext], None]
    needed: bool = False
    """If this check fails, the checks after it have no meaning and are skipped."""


def cluster_starts(check_context: CheckContext) -> None:
    """All nodes are created and join."""
    _require_complete(start_cluster(check_context.make_context(None)))


def tags_are_on_everything(check_context: CheckContext) -> None:
    """Instances and disks have the cluster's tags."""
    audit = check_context.audit()
    untagged = [machine.id for machine in audit.machines if not machine.tagged]
    untagged += [disk.id for disk in audit.disks if not disk.tagged]
    require_that(audit.machines and audit.disks, "there are no machines, or no disks")
    require_that(not untagged, f"without the cluster's tags: {', '.join(untagged)}")


def tokens_are_required(check_context: CheckContext) -> None:
    """The metadata service requires a token (IMDSv2)."""
    without_tokens = [machine.id for machine in check_context.audit().machines if not machine.requires_token]
    require_that(not without_tokens, f"IMDSv1 answers on {', '.join(without_tokens)}")


def disks_are_encrypted(check_context: CheckContext) -> None:
    """Every disk is encrypted."""
    plain = [disk.id for disk in check_context.audit().disks if not disk.encrypted]
    require_that(not plain, f"not encrypted: {', '.join(plain)}")


def firewall_is_closed(check_context: CheckContext) -> None:
    """The firewall opens SSH to the configured networks, everything to members, and nothing else."""
    context = check_context.make_context(None)
    if not isinstance(context.provider, Firewall):
        raise CheckFailedError("this provider has no firewall of ours")
    wanted, before = context.provider.allow_ssh(context.name)
    require_that(set(before) == set(wanted), f"SSH was open to {before}, and shall be to {wanted}")
    rules = check_context.audit().ingress_rules
    others = [
        rule for rule in rules if rule.sources != "members" and (rule.ports, rule.sources in wanted) != ("tcp 22", True)
    ]
    require_that(not others, f"open besides: {', '.join(f'{rule.ports} to {rule.sources}' for rule in others)}")
    require_that(not set(wanted) & set(_WORLD), "SSH is open to the world")
    require_that(any(rule.sources == "members" for rule in rules), "members do not reach each other")


def host_keys_are_the_nodes_own(check_context: CheckContext) -> None:
    """No node shows the bootstrap host key, and every node has a key of its own."""
    with check_context.open_cluster() as cluster:
        born = [node.alias for node in cluster.nodes if node.bootstrap_key]
        require_that(not born, f"still with the key of its birth: {', '.join(born)}")
        keys = {node.host_key for node in cluster.nodes}
        require_that(len(keys) == len(cluster.nodes), "two nodes have the same host key")
        cluster.each(lambda node: cluster.on(node).run("true"))


def metadata_is_for_root(check_context: CheckContext) -> None:
    """The metadata service answers root. It answers the cluster user only if the template says so."""
    open_to_user = check_context.make_context(None).settings.cluster.metadata_for_user
    with check_context.open_cluster() as cluster:
        for node in cluster.nodes:
            instance_id = node.id.partition("@")[0]
            root = _ask_metadata(cluster, node, as_root=True)
            require_that(
                root == instance_id, f"{node.alias}: root was answered {root!r}, and the instance is {instance_id}"
            )
            user = _ask_metadata(cluster, node, as_root=False)
            if open_to_user:
                require_that(user == instance_id, f"{node.alias}: {cluster.user} was answered {user!r}")
            else:
                require_that(not user, f"{node.alias}: {cluster.user} was answered")


def user_is_the_same(check_context: CheckContext) -> None:
    """The cluster user exists and has the same uid on every node."""
    with check_context.open_cluster() as cluster:
        numbers = cluster.each(lambda node: _run_as_user(cluster, node, "id -u"))
    require_that(len(set(numbers.values())) == 1, f"the user has several numbers: {numbers}")
    require_that("0" not in numbers.values(), "the user is root")


def home_is_shared(check_context: CheckContext) -> None:
    """A file that an engine on a worker writes into its home is readable on the master."""
    with check_context.open_cluster() as cluster, check_context.open_client() as client:
        worker = cluster.workers[0]
        engine = hub.engine_ids(cluster)[worker.alias][0]
        file = str(worker.layout.home / "selftest.txt")
        # Functions built into Python are sent by name, so the Python versions of both sides may differ.
        write = client[engine].apply_async(os.system, f"printf %s {worker.alias} > {shlex.quote(file)}")
        require_that(write.get(timeout=_ANSWER_S) == 0, "the engine cannot write there")
        read = _run_as_user(cluster, cluster.master, f"cat {shlex.quote(file)}")
        require_that(read == worker.alias, f"the master reads {read!r}")


def members_log_in_to_each_other(check_context: CheckContext) -> None:
    """The cluster user logs in from each node to each other node, without a password or a question."""
    with check_context.open_cluster() as cluster:
        for node in cluster.nodes:
            for other in cluster.nodes:
                host_name = _run_as_user(cluster, node, f"ssh -o BatchMode=yes {other.alias} hostname")
                require_that(host_name, f"{node.alias} does not get into {other.alias}")


def engines_answer(check_context: CheckContext) -> None:
    """Every engine answers this computer, and no others are registered."""
    with check_context.open_cluster() as cluster:
        nodes = {node.alias for node in cluster.nodes}
        by_alias = hub.engine_ids(cluster).items()
        ids = sorted(number for alias, numbers in by_alias if alias in nodes for number in numbers)
    require_that(ids, "no engines were set up")
    with check_context.open_client() as client:
        # The controller notices engines whose machines ended suddenly by their missing heartbeats.
        for _ in Deadline.after(_SETTLED_S).polls(_LOOK_S):
            if sorted(client.ids) == ids:
                break
        require_that(sorted(client.ids) == ids, f"registered are {sorted(client.ids)}, expected {ids}")
        view = client[:]
        # Not execute(): it also waits for the engines' output, which a late subscription never receives.
        answers = view.apply_async(os.getpid).get(timeout=_ANSWER_S)
        require_that(len(answers) == len(ids), "not every engine answered")


def engines_restart(check_context: CheckContext) -> None:
    """`runplugin ipclusterrestart` replaces every engine with a new one."""
    with check_context.open_cluster() as cluster:
        before = dict(hub.ask(cluster).engines)
    problems = run_plugin(check_context.make_context(_RESTART), _RESTART)
    require_that(not problems, "; ".join(problems))
    with check_context.open_cluster() as cluster:
        after = dict(hub.ask(cluster).engines)
    same = [number for number in before if after.get(number) == before[number]]
    require_that(before.keys() == after.keys() and not same, f"engines before: {before}, after: {after}")
    engines_answer(check_context)


def node_is_added(check_context: CheckContext) -> None:
    """`addnode` adds one node, and its engines register."""
    _require_complete(add_nodes(check_context.make_context(None), [_ADDED], 1))
    engines_answer(check_context)


def node_is_removed(check_context: CheckContext) -> None:
    """`removenode` ends the added node, and the others go on."""
    remove_nodes(check_context.make_context(None), [_ADDED], 1)
    left = [node.alias for node in check_context.nodes()]
    require_that(_ADDED not in left and len(left) == 2, f"there are {', '.join(left)}")
    engines_answer(check_context)


def cluster_stops_and_starts(check_context: CheckContext) -> None:
    """After a stop no node runs, and `start` brings everything back."""
    stop_cluster(check_context.make_context(None))
    running = [node.alias for node in check_context.nodes() if node.state == NodeState.RUNNING]
    require_that(not running, f"still running: {', '.join(running)}")
    _require_complete(start_cluster(check_context.make_context(None)))
    engines_answer(check_context)


def cluster_restarts(check_context: CheckContext) -> None:
    """After a restart every node has rebooted, and everything is back."""
    _require_complete(restart_cluster(check_context.make_context(None)))
    engines_answer(check_context)


CHECKS = (
    Check("a master and a worker start and join", cluster_starts, needed=True),
    Check("the account says who we are", account_checks.account_knows_us),
    Check("the worker is a spot instance, the master is not", account_checks.worker_is_spot),
    Check("the account says what its quotas leave", account_checks.quotas_are_known),
    Check("the price list and the spot market say what the nodes cost", account_checks.prices_are_known),
    Check("SSH is open to the address that AWS sees of this computer", account_checks.address_is_asked),
    Check("instances and disks have the cluster's tags", tags_are_on_everything),
    Check("the metadata service wants tokens (IMDSv2)", tokens_are_required),
    Check("disks are encrypted", disks_are_encrypted),
    Check("SSH is open to this computer, everything to members, nothing else to anybody", firewall_is_closed),
    Check("host keys are the nodes' own", host_keys_are_the_nodes_own),
    Check("the metadata service answers root alone", metadata_is_for_root),
    Check("the cluster user has the same number everywhere", user_is_the_same),
    Check("engines answer this computer", engines_answer, needed=True),
    Check("the home is shared", home_is_shared),
    Check("members log in to each other", members_log_in_to_each_other),
    Check("runplugin ipclusterrestart replaces all engines", engines_restart),
    Check("addnode adds a node and its engines", node_is_added),
    Check("removenode ends it", node_is_removed),
    Check("stop and start bring all of it back", cluster_stops_and_starts),
    Check("restart brings all of it back", cluster_restarts),
)


def _require_complete(started: StartResult) -> None:
    wrong = [*(f"{alias} did not join" for alias in started.failed), *started.problems]
    require_that(started.ok and not wrong, "; ".join(wrong) or "it is not complete")


def _run_as_user(cluster: Cluster, node: Node, command: str) -> str:
    """Return the output of a command that the cluster user runs. Raise an error where it fails."""
    script = as_user(node, cluster.user, f"{command} </dev/null")
    sudo = Facet.MACHINE in node.facets
    return cluster.on(node).run_script(script, name="selftest", timeout_s=_ANSWER_S, sudo=sudo).stdout.strip()


def _ask_metadata(cluster: Cluster, node: Node, *, as_root: bool) -> str:
    """Return the instance id from the metadata service; empty where it does not answer."""
    question = run_program("python3", _TELL_INSTANCE, {"url": _METADATA})
    script = question if as_root else as_user(node, cluster.user, question)
    output = cluster.on(node).run_script(script, name="selftest: metadata", timeout_s=_ANSWER_S, sudo=True).stdout
    return str(json.loads(output.splitlines()[-1])["id"])
