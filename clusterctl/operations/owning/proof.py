"""The proof that machines are a cluster's: its id. A name alone proves nothing where others see the machines too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.base import Shared
from clusterctl.providers.namesakes import describe_namesake, unproven_error

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
    known = context.folder.cluster_id
    if chosen_id and known and chosen_id != known:
        raise UsageError(
            f"the cluster {context.name} of this computer has the id {known}, not {chosen_id}",
            remedy=f"end the other one in a home without files of {context.name}:"
            f" `CLUSTERCTL_HOME=$(mktemp -d) clusterctl {act} --id {chosen_id} {context.name}`",
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
    if chosen_id and not context.folder.cluster_id:
        context.folder.take_id(chosen_id)


def refuse_unproven(context: RunContext, nodes: Sequence[Node]) -> None:
    """Refuse to add to nodes that may be somebody else's."""
    if nodes:
        check_proof(context, "start")
