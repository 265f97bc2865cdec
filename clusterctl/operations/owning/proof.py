"""The proof that machines are a cluster's: its id. A name alone proves nothing where others see the machines too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import StateError, UnprovenError, UsageError
from clusterctl.providers.base import Shared
from clusterctl.providers.namesakes import describe_namesake, unproven_error
from clusterctl.providers.outliving import Adopting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext


def check_proof(context: RunContext, act: str, chosen_id: str = "") -> None:
    """Refuse to go on where nothing proves which cluster of a name is meant. Changes nothing.

    Args:
        context: the context of the run.
        act: the command, for the remedy.
        chosen_id: the id that the user named; empty where none was.

    Raises:
        UnprovenError: this computer does not know the cluster's id, and there is something of its name.
        UsageError: the id that the user named is another one, or there is nothing with it.
    """
    known = context.folder.cluster_id or _noted_id(context)
    if chosen_id and known and chosen_id != known:
        raise UsageError(
            f"the cluster {context.name} of this computer has the id {known}, not {chosen_id}",
            remedy=f"end the other one in a home without files of {context.name}:"
            f" `CLUSTERCTL_HOME=$(mktemp -d) clusterctl {act} --id {chosen_id} {context.name}`",
        )
    if not known and not chosen_id and isinstance(context.provider, Adopting) and context.provider.nodes(context.name):
        raise UnprovenError(
            f"the id of {context.name} is not known on this computer, and without it nothing is taken off its hosts",
            remedy=f"`clusterctl attach {context.name}` asks the hosts for it; then {act} it",
        )
    if known or not isinstance(context.provider, Shared):
        return
    namesakes = context.provider.namesakes(context.name)
    if chosen_id and chosen_id not in {namesake.id for namesake in namesakes}:
        raise UsageError(
            f"there is no {context.name} with the id {chosen_id}",
            remedy="; ".join(map(describe_namesake, namesakes)) or "there is none of this name at all",
        )
    if namesakes and not chosen_id:
        raise unproven_error(context.name, namesakes, act=act)


def take_proof(context: RunContext, act: str, chosen_id: str = "") -> None:
    """Do what `check_proof` does, and record the id that the user named. Call it with the lock held."""
    check_proof(context, act, chosen_id)
    if context.folder.cluster_id:
        return
    if id_ := chosen_id or _noted_id(context):
        context.folder.take_id(id_)


def refuse_lost_hosts(context: RunContext, nodes: Sequence[Node], act: str) -> None:
    """Refuse to end a cluster whose hosts this computer has lost: they would keep what was set up on them."""
    if isinstance(context.provider, Adopting) and not nodes and context.folder.joined_members():
        raise StateError(
            f"this computer has lost its note of the hosts of {context.name}, which keep what was set up on them",
            remedy=f"`clusterctl attach {context.name}` finds them again; then {act} it. Or, if they are gone for"
            f" good: `clusterctl terminate --force {context.name}`",
        )


def _noted_id(context: RunContext) -> str:
    """Return the id that a provider has noted on this computer with the machines; empty where others see them too."""
    if isinstance(context.provider, Shared):
        return ""
    ids = {node.cluster_id for node in context.provider.nodes(context.name)} - {""}
    return ids.pop() if len(ids) == 1 else ""


def refuse_unproven(context: RunContext, nodes: Sequence[Node]) -> None:
    """Refuse to add to nodes that may be somebody else's."""
    if nodes:
        check_proof(context, "start")
