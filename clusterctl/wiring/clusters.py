"""The clusters that exist, the providers of their nodes, and the cluster that a command names."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from clusterctl.errors import ConfigError, ProviderError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.planning import check_name
from clusterctl.providers.outliving import Lingering
from clusterctl.wiring.local_paths import home_folder
from clusterctl.wiring.providers import queried_providers, used_providers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.events import Reporter


def known_clusters(report: Reporter | None = None) -> dict[str, NodeState]:
    """Return every cluster that a provider or this laptop knows, with its state, sorted by name.

    Args:
        report: gets a warning about each provider that is in use and cannot be asked.
    """
    states = {folder.name: NodeState.GONE for folder in own_folders()}
    for name, make in queried_providers().items():
        # A provider that does not answer shows no nodes. This laptop still knows its clusters.
        try:
            nodes = make(None).nodes()
        except (ConfigError, ProviderError) as exc:
            # Docker is asked anywhere, and most computers have none.
            would_be_missed = name != "docker" or name in used_providers() or isinstance(exc, ConfigError)
            if report and would_be_missed:
                report.warn(f"nodes of {name} are not known: {exc.message.splitlines()[0]} (try: {exc.remedy})")
            continue
        for node in nodes:
            before = states.get(node.cluster, NodeState.GONE)
            states[node.cluster] = NodeState.RUNNING if NodeState.RUNNING in {before, node.state} else node.state
    return dict(sorted(states.items()))


def own_folders() -> list[ClusterFolder]:
    """Return the folder of each cluster that this laptop knows, up or not."""
    folders = home_folder() / "clusters"
    clusters = [ClusterFolder(home_folder(), path.name) for path in folders.iterdir()] if folders.is_dir() else []
    return [folder for folder in clusters if folder.exists]


def resolve_cluster(name: str | None) -> str:
    """Return the given name, if there is such a cluster. Without a name, return the only cluster that is up."""
    if name is not None and ClusterFolder(home_folder(), name).exists:
        return name  # the next question to its provider shows whether its nodes exist
    clusters = known_clusters()
    if name is not None:
        if name not in clusters:
            refuse_misspelt([name])
        return name
    up = [cluster for cluster, state in clusters.items() if state == NodeState.RUNNING]
    if len(up) != 1:
        problem = f"{len(up)} clusters are up: which one is meant?" if up else "no cluster is up"
        raise UsageError(problem, remedy=_name_choices(up or list(clusters)))
    return up[0]


def cluster_folder(name: str | None) -> ClusterFolder:
    """Return the folder of the named cluster, or of the only one that is up."""
    return ClusterFolder(home_folder(), resolve_cluster(name))


def split_known(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of the names that are clusters, and those that no cluster here ever had: misspelt ones."""
    for name in names:
        check_name(name)
    clusters = known_clusters()
    existing = [name for name in names if name in clusters or _find_lingering(name)]
    ended = [name for name in names if ClusterFolder(home_folder(), name).was_ended]
    misspelt = [name for name in names if name not in {*existing, *ended}]
    return existing, misspelt


def refuse_misspelt(names: Sequence[str]) -> None:
    """Raise an error that names the misspelt clusters, if there are any, and those that exist."""
    if names:
        existing = list(known_clusters())
        raise UsageError(
            f"there is no cluster {', '.join(names)}", remedy=_near_names(names, existing) or _name_choices(existing)
        )


def _near_names(names: Sequence[str], existing: Sequence[str]) -> str:
    near = [match for name in names for match in get_close_matches(name, existing, n=1)]
    return f"did you mean {' '.join(near)}?" if near else ""


def _name_choices(names: list[str]) -> str:
    return f"name one of: {', '.join(names)}" if names else "`clusterctl start NAME` makes one"


def find_provider(cluster: str) -> str | None:
    """Return the name of the provider that has nodes of this cluster, whose files here are lost; None if none has."""
    for name, make in queried_providers().items():
        with suppress(ConfigError, ProviderError):
            if make(None).nodes(cluster):
                return name
    return _find_lingering(cluster)


def _find_lingering(cluster: str) -> str | None:
    """Return the name of the provider that has processes of this cluster, of which no file tells any more."""
    for name, make in queried_providers().items():
        with suppress(ConfigError, ProviderError):
            if isinstance(provider := make(None), Lingering) and provider.lingers(cluster):
                return name
    return None
