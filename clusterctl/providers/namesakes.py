"""Machines that have the name of a cluster: whose they are is proved by an id, and never by the name alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import UnprovenError
from clusterctl.providers.base import Namesake

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.model import Node


def group_nodes(nodes: Iterable[Node], others: Mapping[str, Sequence[str]] | None = None) -> list[Namesake]:
    """Return nodes of one name by the id of their cluster, the oldest cluster first.

    Args:
        nodes: with the ids of their clusters.
        others: by id, what there is besides nodes.
    """
    by_id: dict[str, list[Node]] = {id_: [] for id_ in others or ()}
    for node in nodes:
        by_id.setdefault(node.cluster_id, []).append(node)
    namesakes = [
        Namesake(
            id=id_,
            owner=next((node.owner for node in members if node.owner), ""),
            nodes=tuple(node.alias for node in members),
            since=min((node.launched_at for node in members if node.launched_at), default=None),
            others=tuple((others or {}).get(id_, ())),
        )
        for id_, members in by_id.items()
    ]
    return sorted(namesakes, key=lambda namesake: (str(namesake.since or ""), namesake.id))


def unproven_error(cluster: str, namesakes: Sequence[Namesake], *, act: str = "terminate") -> UnprovenError:
    """Return the error for a cluster whose id is lost, while something has its name.

    Args:
        cluster: the name.
        namesakes: what has it.
        act: the command that was given.
    """
    lines = [f"the id of {cluster} is not known on this computer, and its name alone proves nothing; there is:"]
    lines += map(describe_namesake, namesakes)
    remedy = f"name the one that is meant: `clusterctl {act} --id ID {cluster}`"
    if act != "terminate":
        remedy = f"`clusterctl attach {cluster}` takes a cluster of yours over; then {act} it"
    return UnprovenError("\n".join(lines), remedy=remedy)


def describe_namesake(namesake: Namesake) -> str:
    """Return a line about it: its id, nodes, owner and age."""
    since = f" since {namesake.since:%Y-%m-%d %H:%M} UTC" if namesake.since else ""
    count = f"{len(namesake.nodes)} node{'' if len(namesake.nodes) == 1 else 's'}"
    what = ", ".join([count, *namesake.others])
    return f"id {namesake.id or 'unknown'}: {what}, made by {namesake.owner or 'somebody'}{since}"
