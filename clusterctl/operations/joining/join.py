"""The join: the one way for a node to become a member, in every operation."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline, Stopwatch
from clusterctl.errors import ClusterctlError, LostError, ProviderError, RefusedError, RemoteError
from clusterctl.model import MASTER, Facet, NodeState
from clusterctl.node.facts import gather_facts, switch_host_key
from clusterctl.operations.joining.silence import describe_silence
from clusterctl.operations.joining.wavefront import RETRY_S, SSH, JoinOutcome, NotYetError, Wavefront
from clusterctl.providers.base import Consoles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Connection, Node, Plan
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.timing import Step

_CONSOLES, _CONSOLE_LINES = 3, 5
"""How many silent nodes have their console shown, and how many lines of it."""
_ALIVE_EVERY_S = 2.0
"""The first pause between questions to the provider whether silent nodes still exist. Each pause is twice the last."""
_ALIVE_AT_LEAST_S = 30.0
"""The longest such pause."""
_PROGRAM_PAUSE_S = 2.0
_SILENT_S = 90.0
"""After so long the user is told what is tried: most systems boot in less."""
_LIVING = frozenset({NodeState.PENDING, NodeState.RUNNING})


def join_nodes(
    context: RunContext, cluster: Cluster, plan: Plan, aliases: Sequence[str], *, left_s: float
) -> JoinOutcome:
    """Let these nodes join, each as soon as it can.

    Workers that fail or are late are reported and marked out of reach; the outcome names them. A master that fails is
    raised.
    """
    joiner = _Joiner(context, cluster, plan, aliases)
    front = Wavefront(
        aliases,
        context.plugin_host.plugins_with("clusterctl_join"),
        act=joiner.run_act,
        when_reachable=joiner.when_reachable,
        deadline_s=left_s,
        timeout_s=plan.deadline_s,
        # Where all nodes share one cache, the workers wait for the master's download instead of repeating it.
        independent=() if Facet.SHARED_CACHE in context.provider.facets else context.plugin_host.independent_plugins(),
        on_end=joiner.report_end,
        on_joined=joiner.record_joined,
    )
    outcome = front.run()
    answered = {step.node for step in outcome.steps if step.plugin == SSH and not step.error}
    silent = [alias for alias in outcome.failed if alias not in answered][:_CONSOLES]
    for alias, error in outcome.failed.items():
        cluster.mark_unreachable(alias)
        if alias in silent:
            error.message += _console_tail(context, alias)
        if alias == MASTER:
            cluster.close()  # cuts off the work on the workers: without a master it is useless
            error.remedy += (
                f"; the nodes stay: `clusterctl start {context.name}` goes on with them, `terminate` ends them"
            )
            raise error
        joiner.report_failure(alias, error.message)  # late nodes were not reported before
    return outcome


def _console_tail(context: RunContext, alias: str) -> str:
    """Return the last lines of the console of a node that never answered; empty where the provider has none."""
    text = ""
    if isinstance(context.provider, Consoles):
        with suppress(ProviderError):  # then the message stays without a console
            text = context.provider.console(context.name, alias)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-_CONSOLE_LINES:]
    return "".join(["\nits console ends with:", *(f"\n    {line}" for line in lines)]) if lines else ""


def describe_failure(alias: str, message: str) -> str:
    """Return the message with the node's alias in front, unless the message names the node already."""
    return message if alias in message.replace(":", " ").split() else f"{alias}: {message}"


def run_members(context: RunContext, cluster: Cluster) -> None:
    """Call every plugin's `clusterctl_members`, in order. A failure is reported and does not stop the rest."""
    for name in context.plugin_host.plugins_with("clusterctl_members"):
        try:
            context.plugin_host.call_hook(name, "clusterctl_members", cluster=cluster)
        except ClusterctlError as exc:
            cluster.problem(f"{exc.message} (try: {exc.remedy})")


def run_connect(context: RunContext, cluster: Cluster) -> list[Connection]:
    """Return the connections that every plugin's `clusterctl_connect` names, in order."""
    connections: list[Connection] = []
    for name in context.plugin_host.plugins_with("clusterctl_connect"):
        try:
            answer = context.plugin_host.call_hook(name, "clusterctl_connect", cluster=cluster)
        except ClusterctlError as exc:
            cluster.problem(f"{exc.message} (try: {exc.remedy})")
            continue
        named = {connection.name for connection in connections}
        for connection in answer if isinstance(answer, list) else [answer] if answer else ():
            if connection.name in named:
                cluster.problem(f"plugin {name}: there is a connection {connection.name} already, of another plugin")
            else:
                connections.append(connection)
    return connections


class _Joiner:
    """Runs the acts of the wavefront on nodes, records their progress and reports their failures."""

    def __init__(self, context: RunContext, cluster: Cluster, plan: Plan, aliases: Sequence[str]) -> None:
        self._context = context
        self._cluster = cluster
        self._plan = plan
        self._aliases = frozenset(aliases)
        self._total = len(aliases)
        self._count = 0
        self._show_progress()  # a bar and its clock from the beginning: the first node may take a minute
        self._pause_s = _ALIVE_EVERY_S
        self._next_check = Deadline.after(self._pause_s)
        self._alive: set[str] | None = None
        """The aliases that existed at the last question to the provider; None before the first."""
        self._reported: set[str] = set()
        self._answered: set[str] = set()
        self._waiting = Stopwatch()
        self._silence_told = threading.Event()

    def when_reachable(self, alias: str, then: Callable[[], None]) -> None:
        self._cluster.on(self._cluster.node(alias)).when_reachable(then)

    def run_act(self, alias: str, plugin: str) -> int:
        node = self._cluster.node(alias)
        remote = self._cluster.on(node)
        before = remote.commands
        if plugin == SSH:
            self._log_in(alias)
        else:
            self._context.plugin_host.call_hook(plugin, "clusterctl_join", cluster=self._cluster, node=node)
        return remote.commands - before

    def _log_in(self, alias: str) -> None:
        """Try once to log in. If the machine has ended, stop waiting for it."""
        try:
            node = self._cluster.node(alias)
            self._cluster.on(node).connect()
        except RefusedError:
            raise
        except RemoteError as exc:
            if self._next_check.is_over:
                self._pause_s = min(2 * self._pause_s, _ALIVE_AT_LEAST_S)
                self._next_check = Deadline.after(self._pause_s)
                # An error of the provider says nothing about the node: the provider is asked again later.
                with suppress(ProviderError):
                    nodes = self._context.provider.nodes(self._context.name)
                    # A machine that existed before the cluster may still be booting.
                    self._alive = {n.alias for n in nodes if n.state in _LIVING or Facet.LASTING in n.facets}
            if self._alive is not None and alias not in self._alive:
                raise RemoteError(
                    f"{alias} ended before it answered",
                    remedy=f"`clusterctl start {self._context.name}` brings it back",
                    node=alias,
                ) from exc
            self._tell_silence()
            # A ProxyCommand starts a new process for each try.
            pause_s = _PROGRAM_PAUSE_S if node.access.command else RETRY_S
            raise NotYetError(exc.message, remedy=exc.remedy, pause_s=pause_s) from exc
        self._answered.add(alias)
        if node.bootstrap_key or (Facet.MACHINE in node.facets and node.cores is None):
            try:
                self._gather_facts(node)
            except LostError as exc:
                # The node accepts logins while it still boots, and may be too busy to run a command.
                raise NotYetError(exc.message, remedy=exc.remedy, pause_s=RETRY_S) from exc

    def _tell_silence(self) -> None:
        """Say once, after a time in which most nodes boot, what is tried with those that have not answered."""
        if self._waiting.elapsed_s < _SILENT_S or self._silence_told.is_set():
            return
        self._silence_told.set()
        silent = [node for node in self._cluster.nodes if node.alias in self._aliases - self._answered]
        if silent:
            self._context.report.warn(describe_silence(self._context, silent, self._waiting.elapsed_s))

    def _gather_facts(self, node: Node) -> None:
        """Learn the facts of a node. Replace the bootstrap host key, where it has one, with the node's own."""
        remote, folder = self._cluster.on(node), self._context.folder
        facts = gather_facts(remote, node)
        if node.bootstrap_key:
            # If this process is killed here, the node shows one of two keys. Both of them are accepted.
            folder.expect_host_key(node, facts.host_key)
            switch_host_key(remote, facts.host_key)
            folder.keep_host_key(node, facts.host_key)
            node = replace(node, host_key=facts.host_key, bootstrap_key=False)
        self._cluster.update_node(replace(node, cores=facts.cores if node.cores is None else node.cores))

    def report_end(self, step: Step) -> None:
        if step.error:
            self.report_failure(step.node, step.error)

    def report_failure(self, alias: str, message: str) -> None:
        """Report once why a node does not join."""
        if alias not in self._reported:
            self._reported.add(alias)
            self._cluster.problem(describe_failure(alias, message))

    def record_joined(self, alias: str) -> None:
        node = self._cluster.node(alias)
        self._context.folder.record("joined", node=alias, id=node.id, digest=self._plan.digest)
        self._count += 1
        self._show_progress(alias)

    def _show_progress(self, alias: str = "") -> None:
        if self._total:
            self._context.report.progress("Waiting for nodes to join", node=alias, done=self._count, total=self._total)


def shift_steps(steps: Sequence[Step], by_s: float) -> list[Step]:
    """Return the steps with all times shifted by `by_s` seconds."""
    return [
        replace(step, ready_s=step.ready_s + by_s, began_s=step.began_s + by_s, ended_s=step.ended_s + by_s)
        for step in steps
    ]
