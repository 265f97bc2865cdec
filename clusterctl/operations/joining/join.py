"""The join: the one way in which a node becomes a member, whoever asks for it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, LostError, ProviderError, RefusedError, RemoteError
from clusterctl.events import Event, EventKind
from clusterctl.model import MASTER, Facet, NodeState, Step
from clusterctl.node.facts import learn, use_own_key
from clusterctl.operations.joining.wavefront import RETRY_S, SSH, NotYetError, Outcome, Wavefront
from clusterctl.providers.base import Consoles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.cluster import Cluster
    from clusterctl.model import Connection, Node, Plan
    from clusterctl.operations.context import Parts

_ALIVE_EVERY_S = 2.0
_CONSOLES, _CONSOLE_LINES = 3, 5
"""Of how many silent nodes the console is shown, and how much of it."""
"""How soon the provider is asked whether silent nodes still exist; after each time it may rest twice as long."""
_ALIVE_AT_LEAST_S = 30.0
_PROGRAM_PAUSE_S = 2.0
_LIVING = frozenset({NodeState.PENDING, NodeState.RUNNING})


def join(parts: Parts, cluster: Cluster, plan: Plan, aliases: Sequence[str], *, left_s: float) -> Outcome:
    """Let these nodes join, each as soon as it can.

    Nodes that fail or are late are reported and marked out of reach. Raises nothing for them: look at the outcome.
    """
    joiner = _Joiner(parts, cluster, plan, len(aliases))
    front = Wavefront(
        aliases,
        parts.host.having("clusterctl_join"),
        act=joiner.act,
        knock=joiner.knock,
        deadline_s=left_s,
        # Where all share one cache, what the master has downloaded the others need not.
        independent=() if Facet.SHARED_CACHE in parts.provider.facets else parts.host.independent(),
        on_end=joiner.ended,
        on_joined=joiner.joined,
    )
    outcome = front.run()
    answered = {step.node for step in outcome.steps if step.plugin == SSH and not step.error}
    silent = [alias for alias in outcome.failed if alias not in answered][:_CONSOLES]
    for alias, error in outcome.failed.items():
        cluster.lose(alias)
        if alias in silent:
            error.message += _last_words(parts, alias)
        if alias == MASTER:
            cluster.close()  # cuts off what still runs on the others: without a master it leads nowhere
            error.remedy += (
                f"; the nodes stay: `clusterctl start {parts.name}` goes on with them, `terminate` ends them"
            )
            raise error
        joiner.tell(alias, error.message)  # of those that were late, nobody knows yet
    return outcome


def _last_words(parts: Parts, alias: str) -> str:
    """What a node that never answered has printed last, where its provider can tell."""
    text = ""
    if isinstance(parts.provider, Consoles):
        with suppress(ProviderError):  # then nobody knows more
            text = parts.provider.console(parts.name, alias)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-_CONSOLE_LINES:]
    return "".join(["\nits console ends with:", *(f"\n    {line}" for line in lines)]) if lines else ""


def failure(alias: str, message: str) -> str:
    """How the failure of a node is reported: naming the node, once."""
    return message if alias in message.replace(":", " ").split() else f"{alias}: {message}"


def members_changed(parts: Parts, cluster: Cluster) -> None:
    """Tell every plugin, in order, that the membership changed; a failure is reported and does not stop the rest."""
    for name in parts.host.having("clusterctl_members"):
        try:
            parts.host.call(name, "clusterctl_members", cluster=cluster)
        except ClusterctlError as exc:
            cluster.problem(f"{exc.message} (try: {exc.remedy})")


def connect(parts: Parts, cluster: Cluster) -> list[Connection]:
    """Ask every plugin, in order, how the laptop reaches its service."""
    found: list[Connection] = []
    for name in parts.host.having("clusterctl_connect"):
        try:
            answer = parts.host.call(name, "clusterctl_connect", cluster=cluster)
        except ClusterctlError as exc:
            cluster.problem(f"{exc.message} (try: {exc.remedy})")
            continue
        found += answer if isinstance(answer, (list, tuple)) else [answer] if answer else []
    return found


class _Joiner:
    """One act of the wavefront, and what is recorded about it."""

    def __init__(self, parts: Parts, cluster: Cluster, plan: Plan, total: int) -> None:
        self._parts = parts
        self._cluster = cluster
        self._plan = plan
        self._total = total
        self._count = 0
        self._checked_at = time.monotonic()
        self._pause_s = _ALIVE_EVERY_S
        self._alive: set[str] | None = None
        """Who existed when the provider was last asked; None before that."""
        self._told: set[str] = set()

    def knock(self, alias: str, then: Callable[[], None]) -> None:
        self._cluster.on(self._cluster.node(alias)).knock(then)

    def act(self, alias: str, plugin: str) -> int:
        node = self._cluster.node(alias)
        remote = self._cluster.on(node)
        before = remote.commands
        if plugin == SSH:
            self._log_in(alias)
        else:
            self._parts.host.call(plugin, "clusterctl_join", cluster=self._cluster, node=node)
        return remote.commands - before

    def _log_in(self, alias: str) -> None:
        """One try. Watches for the node's death too, so that nobody waits for what will never come."""
        try:
            node = self._cluster.node(alias)
            self._cluster.on(node).connect()
        except RefusedError:
            raise
        except RemoteError as exc:
            if time.monotonic() - self._checked_at > self._pause_s:
                self._checked_at = time.monotonic()
                self._pause_s = min(2 * self._pause_s, _ALIVE_AT_LEAST_S)
                # A provider that does not answer either says nothing about the node: it is asked again.
                with suppress(ProviderError):
                    nodes = self._parts.provider.nodes(self._parts.name)
                    # A machine that was there before us may still be booting.
                    self._alive = {n.alias for n in nodes if n.state in _LIVING or Facet.LASTING in n.facets}
            if self._alive is not None and alias not in self._alive:
                raise RemoteError(
                    f"{alias} ended before it answered",
                    remedy=f"`clusterctl start {self._parts.name}` brings it back",
                    node=alias,
                ) from exc
            # A program has to start anew for each try.
            pause_s = _PROGRAM_PAUSE_S if node.access.command else RETRY_S
            raise NotYetError(exc.message, remedy=exc.remedy, pause_s=pause_s) from exc
        if node.bootstrap_key or (Facet.MACHINE in node.facets and node.cores is None):
            try:
                self._get_to_know(node)
            except LostError as exc:
                # It lets us in while it still boots, and may be too busy with that to run anything.
                raise NotYetError(exc.message, remedy=exc.remedy, pause_s=RETRY_S) from exc

    def _get_to_know(self, node: Node) -> None:
        """What it is; and who, where it was born with a key that is not its own."""
        remote, folder = self._cluster.on(node), self._parts.folder
        facts = learn(remote, node)
        if node.bootstrap_key:
            # Whoever is killed in here finds a node that shows one of two keys, both of which are accepted.
            folder.expect_host_key(node, facts.host_key)
            use_own_key(remote, facts.host_key)
            folder.keep_host_key(node, facts.host_key)
            node = replace(node, host_key=facts.host_key, bootstrap_key=False)
        self._cluster.learn(replace(node, cores=facts.cores if node.cores is None else node.cores))

    def ended(self, step: Step) -> None:
        if step.error:
            self.tell(step.node, step.error)

    def tell(self, alias: str, message: str) -> None:
        """Report why a node does not join, once."""
        if alias not in self._told:
            self._told.add(alias)
            self._cluster.problem(failure(alias, message))

    def joined(self, alias: str) -> None:
        node = self._cluster.node(alias)
        self._parts.folder.record("joined", node=alias, id=node.id, digest=self._plan.digest)
        self._count += 1
        self._parts.report(
            Event(
                EventKind.PROGRESS,
                "Waiting for nodes to join",
                node=alias,
                done=self._count,
                total=self._total,
            )
        )


def shifted(steps: Sequence[Step], by_s: float) -> list[Step]:
    """Steps whose times count from another beginning."""
    return [
        replace(step, ready_s=step.ready_s + by_s, began_s=step.began_s + by_s, ended_s=step.ended_s + by_s)
        for step in steps
    ]
