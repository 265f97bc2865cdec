"""More nodes for a cluster that exists: `start` with more nodes wanted, by their number or by the size of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import UsageError
from clusterctl.model import MASTER
from clusterctl.operations.leave import end_replaced
from clusterctl.operations.owning.proof import refuse_unproven
from clusterctl.operations.start import StartResult, bring_up, prepare_tunnel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node, NodeOverrides
    from clusterctl.operations.approval import Approval
    from clusterctl.operations.context import RunContext


def add_nodes(
    context: RunContext,
    aliases: Sequence[str],
    count: int,
    *,
    differing: NodeOverrides | None = None,
    approval: Approval | None = None,
) -> StartResult:
    """Let new nodes join an existing cluster.

    Nodes that an earlier call began and did not complete, since it was killed, count among those that are asked for:
    whoever repeats a command wants its result, and not twice as much.

    Args:
        context: the context of the run.
        aliases: the names of the new nodes; empty for the next free numbers.
        count: how many nodes, where no aliases are given.
        differing: what these nodes have in place of the template's.
        approval: as for `start`.
    """
    with context.lock(), prepare_tunnel(context) as waiting:
        end_replaced(context)
        before, present = _find_present(context)
        begun = context.folder.unfinished_additions()
        taken = sorted(set(aliases) & set(present) - set(begun))
        if taken:
            raise UsageError(
                f"{', '.join(taken)} exists in {context.name}", remedy="choose another alias, or leave -a out"
            )
        more = max(0, count - len(begun))
        new = tuple(map(planning.check_name, aliases)) or (*begun, *planning.next_aliases(present, more))
        if begun:
            context.report.say(f"Completing what an addnode began that was cut off: {', '.join(begun)}")
        asked_for = [alias for alias in new if alias not in begun]
        node_overrides = dict.fromkeys(asked_for, differing) if differing else {}
        wanted = tuple(dict.fromkeys((*present, *new)))
        return bring_up(context, wanted, before, waiting, node_overrides, adding=new, approval=approval)


@dataclass(frozen=True)
class Resizing:
    """What a cluster lacks, or has too much, for a size."""

    lacking: int
    """How many nodes are to be added."""
    leaving: tuple[str, ...]
    """Aliases of the nodes that are to leave: the last ones."""


def plan_resize(context: RunContext, size: int) -> Resizing:
    """Return what is to be done for a cluster to have so many nodes, with the master. Changes nothing."""
    _, present = _find_present(context)
    workers = [alias for alias in present if alias != MASTER]
    return Resizing(max(0, size - len(present)), tuple(workers[size - 1 :]))


def grow_to(context: RunContext, size: int, *, approval: Approval | None = None) -> StartResult:
    """Let nodes join until there are so many, with the master. Complete those that are there already.

    Args:
        context: the context of the run.
        size: how many nodes there shall be, at least as many as there are.
        approval: as for `start`.
    """
    with context.lock(), prepare_tunnel(context) as waiting:
        end_replaced(context)
        before, present = _find_present(context)
        lacking = size - len(present)
        new = planning.next_aliases(present, lacking) if lacking > 0 else ()
        return bring_up(context, (*present, *new), before, waiting, approval=approval)


def _find_present(context: RunContext) -> tuple[list[Node], tuple[str, ...]]:
    """Return the nodes that exist, and the aliases of those that are wanted. Raises UsageError if there are none."""
    before = context.provider.nodes(context.name)
    refuse_unproven(context, before)
    present = context.folder.wanted_nodes() or tuple(node.alias for node in before)
    if not present:
        raise UsageError(f"there is no cluster {context.name}", remedy=f"`clusterctl start {context.name}` makes one")
    return before, present
