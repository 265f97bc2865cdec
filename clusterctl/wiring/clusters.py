"""The clusters that exist, the providers of their nodes, and the cluster that a command names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.errors import ConfigError, ProviderError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.wiring.local_paths import home_folder
from clusterctl.wiring.providers import queried_providers

if TYPE_CHECKING:
    from clusterctl.events import Reporter


def known_clusters(report: Reporter | None = None) -> dict[str, NodeState]:
    """Return every cluster that a provider or this laptop knows, with its state, sorted by name.

    Args:
        report: gets a warning about each provider that a mistake in the config keeps from being asked.
    """
    states: dict[str, NodeState] = {}
    folders = home_folder() / "clusters"
    if folders.is_dir():
        states = {f.name: NodeState.GONE for f in folders.iterdir() if ClusterFolder(home_folder(), f.name).exists}
    for name, make in queried_providers().items():
        # A provider that does not answer, such as without a Docker engine, shows no nodes. This laptop still knows its
        # clusters.
        try:
            nodes = make(None).nodes()
        except ProviderError:
            continue
        except ConfigError as exc:
            if report:
                report.warn(f"nodes of {name} are not looked for: {exc.message.splitlines()[0]}")
            continue
        for node in nodes:
            before = states.get(node.cluster, NodeState.GONE)
            states[node.cluster] = NodeState.RUNNING if NodeState.RUNNING in {before, node.state} else node.state
    return dict(sorted(states.items()))


def resolve_cluster(name: str | None) -> str:
    """Return the given name, if there is such a cluster. Without a name, return the only cluster that is up."""
    if name is not None and ClusterFolder(home_folder(), name).exists:
        return name  # the next question to its provider shows whether its nodes exist
    clusters = known_clusters()
    if name is not None:
        if name not in clusters:
            raise UsageError(f"there is no cluster {name}", remedy=_name_choices(list(clusters)))
        return name
    up = [cluster for cluster, state in clusters.items() if state == NodeState.RUNNING]
    if len(up) != 1:
        problem = f"{len(up)} clusters are up: which one is meant?" if up else "no cluster is up"
        raise UsageError(problem, remedy=_name_choices(up or list(clusters)))
    return up[0]


def _name_choices(names: list[str]) -> str:
    return f"name one of: {', '.join(names)}" if names else "`clusterctl start NAME` makes one"


def find_provider(cluster: str) -> str | None:
    """Return the name of the provider that has nodes of this cluster, whose files here are lost; None if none has."""
    for name, make in queried_providers().items():
        with suppress(ConfigError, ProviderError):
            if make(None).nodes(cluster):
                return name
    return None
