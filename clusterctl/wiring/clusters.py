"""Which clusters there are, who has their nodes, and which one is meant."""

from __future__ import annotations

from contextlib import suppress

from clusterctl.errors import ProviderError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.wiring.local_paths import home
from clusterctl.wiring.providers import asked


def known_clusters() -> dict[str, NodeState]:
    """Every cluster that a provider or this laptop knows, and whether it runs; sorted by name."""
    found: dict[str, NodeState] = {}
    folders = home() / "clusters"
    if folders.is_dir():
        found = {f.name: NodeState.GONE for f in folders.iterdir() if ClusterFolder(home(), f.name).exists}
    for make in asked().values():
        # One that cannot be asked, such as for want of a Docker engine, shows no nodes: what it made we still know of.
        with suppress(ProviderError):
            for node in make(None).nodes():
                before = found.get(node.cluster, NodeState.GONE)
                found[node.cluster] = NodeState.RUNNING if NodeState.RUNNING in {before, node.state} else node.state
    return dict(sorted(found.items()))


def the_cluster(name: str | None) -> str:
    """The name given, if there is such a cluster; without one, the only cluster that is up."""
    if name is not None and ClusterFolder(home(), name).exists:
        return name  # whoever is asked for its nodes next knows whether they are there
    clusters = known_clusters()
    if name is not None:
        if name not in clusters:
            raise UsageError(f"there is no cluster {name}", remedy=_choices(list(clusters)))
        return name
    up = [cluster for cluster, state in clusters.items() if state == NodeState.RUNNING]
    if len(up) != 1:
        what = f"{len(up)} clusters are up: which one is meant?" if up else "no cluster is up"
        raise UsageError(what, remedy=_choices(up or list(clusters)))
    return up[0]


def _choices(names: list[str]) -> str:
    return f"name one of: {', '.join(names)}" if names else "`clusterctl start NAME` makes one"


def holder_of(cluster: str) -> str | None:
    """Who has nodes of a cluster whose files here are lost; None where nobody says so."""
    for name, make in asked().items():
        with suppress(ProviderError):
            if make(None).nodes(cluster):
                return name
    return None
