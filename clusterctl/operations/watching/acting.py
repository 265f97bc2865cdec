"""What is done about a decision. Each takes the cluster's lock, and looks again before it changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ClusterctlError, StateError
from clusterctl.operations.growing import grow_to
from clusterctl.operations.leave import end_replaced
from clusterctl.operations.owning.proof import refuse_unproven
from clusterctl.operations.start import bring_up, prepare_tunnel
from clusterctl.operations.watching.deciding import Act
from clusterctl.operations.watching.growth_acts import end_idle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.context import RunContext
    from clusterctl.operations.start import StartResult
    from clusterctl.operations.watching.deciding import Decision
    from clusterctl.providers.money import Estimate


class ChangedError(ClusterctlError):
    """What was seen is not so any more: somebody else has acted."""


class _KeepsWork:
    """The `Approval` of somebody who is not there: nodes that are lost may be bought again, and no work is ended."""

    def allow_cost(self, estimate: Estimate) -> None:
        """Say nothing: the user has asked for the size that the cluster had."""

    def allow_end(self, cluster: str, endings: Sequence[str]) -> None:
        """Refuse."""
        raise StateError(
            f"the config has changed, and to apply it would end {', '.join(endings)}",
            remedy=f"`clusterctl start {cluster}` asks you",
        )


def act_on(context: RunContext, decision: Decision, others: Sequence[str] = ()) -> None:
    """Do what was decided.

    Args:
        context: the context of the run.
        decision: what was decided.
        others: nodes that the same was decided about.

    Raises:
        ClusterctlError: it did not succeed, or another command is at work.
    """
    if decision.act in {Act.BRING_BACK, Act.REPAIR}:
        _bring_back(context)
    elif decision.act == Act.REPLACE:
        _replace(context, decision.node)
    elif decision.act == Act.GROW:
        _grow(context, decision.size)
    elif decision.act == Act.SHRINK:
        _shrink(context, [decision.node, *others])
    elif decision.act == Act.LET_GO:
        with context.lock():
            end_replaced(context)


def _bring_back(context: RunContext) -> None:
    """Have all nodes that are wanted run and work."""
    with context.lock(), prepare_tunnel(context) as waiting:
        end_replaced(context)  # those that have ended meanwhile are not to be made anew
        wanted = _wanted_still(context)
        before = context.provider.nodes(context.name)
        refuse_unproven(context, before)
        _refuse_failure(context, bring_up(context, wanted, before, waiting, approval=_KeepsWork()))


def _replace(context: RunContext, alias: str) -> None:
    """Let another node join for one that will be taken. That one stays a member until its machine has ended."""
    with context.lock(), prepare_tunnel(context) as waiting:
        end_replaced(context)
        wanted = _wanted_still(context)
        before = context.provider.nodes(context.name)
        refuse_unproven(context, before)
        machine = next((node.machine_id for node in before if node.alias == alias), "")
        if alias not in wanted or not machine:
            raise ChangedError(f"{alias} is gone already", remedy="look again")
        kept_machine, new = context.folder.replaced_nodes().get(alias, ("", ""))
        if kept_machine != machine:
            (new,) = planning.next_aliases(wanted, 1)
            # Before it is asked for: who is killed here and begins again must not ask for a second one.
            context.folder.record("replacing", node=alias, machine=machine, by=new)
        own = context.folder.node_overrides().get(alias)
        node_overrides = {new: own} if own else {}
        everybody = tuple(dict.fromkeys((*wanted, new)))
        started = bring_up(context, everybody, before, waiting, node_overrides, adding=[new], approval=_KeepsWork())
        _refuse_failure(context, started)


def _grow(context: RunContext, size: int) -> None:
    """Let nodes join until there are so many. What the provider refuses is not wanted: what waits asks for it again."""
    started = grow_to(context, size, approval=_KeepsWork())
    refused = [alias for alias in started.failed if alias not in {node.alias for node in started.nodes}]
    if refused:
        with context.lock():
            context.folder.record("remove", nodes=refused)
            context.folder.record("completed")
    _refuse_failure(context, started)


def _shrink(context: RunContext, aliases: Sequence[str]) -> None:
    """End the nodes on which nobody works."""
    staying = end_idle(context, aliases)
    if staying:
        why = "; ".join(f"{alias} stays: {reason}" for alias, reason in staying.items())
        raise ChangedError(why, remedy="look again")


def _wanted_still(context: RunContext) -> tuple[str, ...]:
    """Return the nodes that are wanted. A cluster that was ended meanwhile is not made anew."""
    wanted = context.folder.wanted_nodes()
    if not wanted:
        raise ChangedError(f"{context.name} was ended meanwhile", remedy="look again")
    return wanted


def _refuse_failure(context: RunContext, started: StartResult) -> None:
    if not started.ok:
        raise StateError(
            "; ".join(started.problems) or f"{', '.join(started.failed)} did not join",
            remedy=f"`clusterctl doctor {context.name}` says more",
        )
