"""What is to be done about what is seen. Pure: the same sights, the same decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from clusterctl.model import MASTER, NodeState
from clusterctl.operations.watching.growth import GrowthMemory, find_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.operations.watching.sight import Sight

_LOOKS = 2
"""In a row, before something counts: what a cloud says of new machines is late at times, and a busy node is silent."""


class Act(str, Enum):
    """What a decision has done. Answers for programs have its text."""

    BRING_BACK = "bring back"
    """Machines that are gone or off start again, under their names, and join."""
    REPLACE = "replace"
    """Another node joins for one that will be taken, which ends what it is at meanwhile."""
    LET_GO = "let go"
    """A node that was replaced has ended: the cluster has its size again."""
    REPAIR = "repair"
    """What runs and does not work is repaired, as `start` does it."""
    GROW = "grow"
    """Nodes are added for what waits."""
    SHRINK = "shrink"
    """A node that has nothing to do leaves."""
    NOTE = "note"
    """Nothing."""
    END = "end"
    """The watch ends: there is nothing to watch over."""


@dataclass(frozen=True)
class Decision:
    """One thing to do, and why."""

    act: Act
    node: str
    """The alias it is about; empty where it is about the cluster."""
    reason: str
    size: int = 0
    """To how many nodes the cluster grows."""


@dataclass
class Memory:
    """What was seen before: some things count only when they are seen twice."""

    seen: dict[tuple[Act, str], int] = field(default_factory=dict)
    """By what would be done: in how many looks in a row, with this one."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What was noted of each node: it is said once."""
    growth: GrowthMemory = field(default_factory=GrowthMemory)
    """What was seen of what nodes do."""

    @property
    def has_doubts(self) -> bool:
        """Whether the next look decides something: it should come soon."""
        return any(count < _LOOKS for count in self.seen.values())


def decide(sight: Sight, memory: Memory) -> list[Decision]:
    """Return what is to be done now, and keep in the memory what may be to be done at the next look."""
    if not sight.wanted:
        return [Decision(Act.END, "", "there is no such cluster any more")]
    if sight.own_end:
        return [Decision(Act.END, "", f"it ends by itself: {sight.own_end}")]
    if not any(map(sight.is_coming, sight.nodes)):
        return [_end_without_nodes(sight)]
    if sight.lost:
        return _tell_lost_master(sight, memory)
    candidates = {(decision.act, decision.node): decision for decision in _find_faults(sight)}
    if all(act == Act.REPAIR for act, _ in candidates):
        candidates |= {(decision.act, decision.node): decision for decision in _find_size(sight, memory)}
    memory.seen = {what: memory.seen.get(what, 0) + 1 for what in candidates}
    decisions = [decision for what, decision in candidates.items() if memory.seen[what] >= _LOOKS or _is_sure(what[0])]
    if any(decision.act == Act.BRING_BACK for decision in decisions):  # which repairs the others, too
        decisions = [decision for decision in decisions if decision.act != Act.REPAIR]
    return [*decisions, *_take_notes(sight, memory)]


def _end_without_nodes(sight: Sight) -> Decision:
    """Bring nothing back of a cluster that is gone as a whole: somebody has stopped or ended it."""
    if any(node.state == NodeState.STOPPED for node in sight.nodes.values()):
        return Decision(Act.END, "", "it is stopped; after `clusterctl start` watch it again")
    return Decision(
        Act.END,
        "",
        "none of its nodes is left: it was ended elsewhere, or all were taken; `clusterctl start` says more",
    )


def _tell_lost_master(sight: Sight, memory: Memory) -> list[Decision]:
    """Bring nobody back of a cluster whose files are lost with its master: only its user can say what is to be done."""
    what = (Act.NOTE, MASTER)
    memory.seen = {what: memory.seen.get(what, 0) + 1}
    if memory.seen[what] < _LOOKS:
        return []
    text = (
        f"its machine is gone, and with it {sight.lost}; nothing is brought back: `clusterctl start` makes a new master"
        " with an empty home, `clusterctl terminate` ends the rest"
    )
    return _tell_once({MASTER: text}, memory)


def _is_sure(act: Act) -> bool:
    """Return whether one look is enough: a notice is a promise, and two minutes are short; idleness has lasted."""
    return act in {Act.REPLACE, Act.SHRINK}


def _find_faults(sight: Sight) -> Iterator[Decision]:
    doomed = sight.doomed
    for alias in sight.wanted:
        if sight.is_replaced(alias):
            if not sight.is_running(alias):
                yield Decision(
                    Act.LET_GO, alias, f"its machine has ended, and {sight.replaced[alias][1]} is in its place"
                )
        elif not sight.is_coming(alias):
            yield Decision(
                Act.BRING_BACK, alias, "its machine is off" if alias in sight.nodes else "its machine is gone"
            )
        elif alias in doomed and alias != MASTER:
            yield Decision(Act.REPLACE, alias, doomed[alias])
    troubles = [row for row in sight.rows if not row.healthy and row.node not in doomed]
    for row in troubles:
        if sight.is_running(row.node):
            yield Decision(Act.REPAIR, row.node, f"{row.item}: {row.value}")


def _find_size(sight: Sight, memory: Memory) -> Iterator[Decision]:
    """Yield what is to be done about the size, where all nodes are there."""
    memory.growth.remark = ""
    if sight.growth is None:
        return
    memory.growth.note(sight.growth)
    if sight.doomed or any(map(sight.is_replaced, sight.wanted)):  # then the size changes by itself
        return
    change = find_change(sight.growth, sight.wanted, memory.growth)
    if change is None:
        return
    for alias in change.leaving:
        yield Decision(Act.SHRINK, alias, change.reason)
    if change.size > len(sight.wanted):
        yield Decision(Act.GROW, "", change.reason, change.size)
    elif not change.leaving:
        memory.growth.remark = change.reason


def _take_notes(sight: Sight, memory: Memory) -> list[Decision]:
    """Return what the user should know and nothing is done about, once."""
    notes = {row.node: row.value for row in sight.rows if row.may_end}
    if memory.growth.remark:
        notes[""] = memory.growth.remark
    if MASTER in sight.doomed:
        notes[MASTER] = f"{sight.doomed[MASTER]}; what only its disk has goes with it"
    return _tell_once(notes, memory)


def _tell_once(notes: Mapping[str, str], memory: Memory) -> list[Decision]:
    new = [Decision(Act.NOTE, alias, text) for alias, text in notes.items() if memory.notes.get(alias) != text]
    memory.notes = notes
    return new
