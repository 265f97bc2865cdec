"""Nodes that have nothing to do leave: their engines are given nothing new first, and then all is looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.errors import ClusterctlError
from clusterctl.model import MASTER, NodeState
from clusterctl.node.ending import ask_programs, ask_who_works
from clusterctl.operations.joining.terms import find_programs, send_terms
from clusterctl.operations.leave import end_some
from clusterctl.operations.owning.proof import refuse_unproven

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext


def end_idle(context: RunContext, aliases: Sequence[str]) -> dict[str, str]:
    """End those of these nodes on which nobody works. Return why the others stay, by alias.

    The engines of what stays are given work again. Whoever is killed here leaves engines that are given nothing for two
    minutes, and no node half ended that the next command would not end.

    Raises:
        ClusterctlError: the controller or the provider does not answer; all nodes stay.
    """
    with context.lock():
        nodes = {node.alias: node for node in context.provider.nodes(context.name)}
        refuse_unproven(context, [*nodes.values()])
        wanted = context.folder.wanted_nodes()
        staying = {alias: "it has left already" for alias in aliases if alias not in wanted or alias == MASTER}
        leaving = [alias for alias in aliases if alias not in staying]
        cluster = context.make_cluster(nodes.values())
        try:
            staying |= _drain(context, cluster, leaving)
            leaving = [alias for alias in leaving if alias not in staying]
        finally:
            cluster.close()
        if leaving:
            end_some(context, nodes, leaving, counted=False)
            rest = context.make_cluster(node for node in nodes.values() if node.alias not in leaving)
            try:
                send_terms(context, rest)  # it costs less now, and waits for no worker that is gone
            finally:
                rest.close()
    return staying


def _drain(context: RunContext, cluster: Cluster, aliases: Sequence[str]) -> dict[str, str]:
    """Give these nodes nothing new. Return those on which somebody works all the same, and who."""
    ids = hub.engine_ids(cluster)
    numbers = _numbers(ids, aliases)
    load = hub.ask_load(cluster, drain=numbers)
    if not load.answered:
        return dict.fromkeys(aliases, "the controller does not say what its engines are at")
    at_work = {
        alias: "it has a task"
        for alias in aliases
        if any(number not in load.engines or load.engines[number].tasks for number in ids.get(alias, ()))
    }
    running = [
        node
        for node in cluster.nodes
        if node.alias in aliases and node.alias not in at_work and node.state == NodeState.RUNNING
    ]
    said = cluster.each(lambda node: _ask_who_works(cluster, node), running)
    at_work |= {alias: who for alias, who in said.items() if who}
    at_work |= _ask_plugins(context, cluster, [alias for alias in aliases if alias not in at_work])
    if at_work:
        hub.ask_load(cluster, give_back=_numbers(ids, at_work))
    return at_work


def _ask_who_works(cluster: Cluster, node: Node) -> str:
    try:
        return ask_who_works(cluster, node)
    except ClusterctlError as exc:
        return f"nobody knows who works there: {exc.message}"


def _ask_plugins(context: RunContext, cluster: Cluster, aliases: Sequence[str]) -> dict[str, str]:
    """Return on which of these nodes something of a plugin's is at work."""
    if not aliases:
        return {}
    try:
        said = ask_programs(cluster, find_programs(context, cluster))
    except ClusterctlError as exc:
        return dict.fromkeys(aliases, f"nobody knows who works there: {exc.message}")
    return {alias: said[alias] for alias in aliases if alias in said}


def _numbers(ids: Mapping[str, range], aliases: Iterable[str]) -> list[int]:
    return [number for alias in aliases for number in ids.get(alias, ())]
