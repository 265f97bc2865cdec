"""How many nodes a cluster should have for what waits. Pure but for a clock: the same sights, the same sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.clock import Stopwatch
from clusterctl.model import MASTER
from clusterctl.text import format_span, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.hub import Demand, Load


@dataclass(frozen=True)
class Growth:
    """What decides about the size of a cluster."""

    least: int
    """Nodes, with the master, that are left in any case."""
    most: int
    """Nodes, with the master, that are never exceeded."""
    after_s: float
    """A node that had nothing to do for so long may leave; 0: none ever does."""
    load: Load
    engine_ids: Mapping[str, range]
    """The ids of each node's engines, by alias."""
    come_s: float = 10.0
    """Seconds until a node that is asked for works, where none has come yet: a guess."""
    affordable: int | None = None
    """For so many nodes MAX_COST has room; None: for any number."""
    room: int | None = None
    """So many nodes the provider has for it, those that are there included; None: nobody has counted."""


@dataclass
class GrowthMemory:
    """What was seen of the nodes before."""

    come_s: float | None = None
    """Seconds until nodes worked that were asked for last; None if none were."""
    idle: dict[str, tuple[int, Stopwatch]] = field(default_factory=dict)
    """Of each node that has nothing to do: how many tasks it had done, and since when."""
    remark: str = ""
    """Why nothing is done, where the user should know it."""

    def note(self, growth: Growth) -> None:
        """Take in which nodes have something to do, or had between two looks."""
        before, self.idle = self.idle, {}
        for alias, ids in growth.engine_ids.items():
            loads = [growth.load.engines.get(number) for number in ids]
            if not loads or any(load is None or load.tasks for load in loads):
                continue
            done = sum(load.completed for load in loads if load)
            known = before.get(alias)
            self.idle[alias] = known if known and known[0] == done else (done, Stopwatch())

    def forget(self, aliases: Sequence[str]) -> None:
        """Take it that somebody works on these nodes, whatever was seen of their engines."""
        for alias in aliases:
            self.idle.pop(alias, None)


@dataclass(frozen=True)
class Change:
    """Another size, and why."""

    size: int
    reason: str
    leaving: tuple[str, ...] = ()
    """The nodes that leave; none where some are added."""


def find_change(growth: Growth, present: Sequence[str], memory: GrowthMemory) -> Change | None:
    """Return what is to be done about the size; None where nothing is.

    Args:
        growth: what decides.
        present: the aliases of all nodes that are there or about to come: these count as capacity.
        memory: what was seen before, this look included.
    """
    if not growth.load.answered:
        return None
    wanted = count_wanted_engines(growth.load, memory.come_s or growth.come_s)
    size, an_node = len(present), engines_a_node(growth.engine_ids)
    engine_count = sum(len(growth.engine_ids.get(alias, range(an_node))) for alias in present)
    if wanted > engine_count:
        more = math.ceil((wanted - engine_count) / an_node) if an_node else 1
        return _grow(growth, size, size + more)
    return _shrink(growth, present, memory, spare=engine_count - wanted)


def _grow(growth: Growth, size: int, ideal: int) -> Change | None:
    target, limit, lack = min(ideal, growth.most), "SCALE_MAX", ""
    others = (
        (growth.room, "hosts are free", "no host is free for them"),
        (growth.affordable, "MAX_COST has room", "MAX_COST has no room for them"),
    )
    for most, why, lacks in others:
        if most is not None and most < target:
            target, limit, lack = max(size, most), why, lacks
    if target <= size:
        return Change(size, f"more nodes would have work, and {lack}") if lack else None
    limited = f" (work for {ideal}, {limit} for {target})" if ideal > target else ""
    return Change(target, f"{describe_wait(growth.load)}: {plural(target, 'node')} in place of {size}{limited}")


def _shrink(growth: Growth, present: Sequence[str], memory: GrowthMemory, *, spare: int) -> Change | None:
    leaving: list[str] = []
    for alias in reversed([alias for alias in present if alias != MASTER]):
        count = len(growth.engine_ids.get(alias, ()))
        idle = memory.idle.get(alias)
        is_due = growth.after_s > 0 and idle is not None and idle[1].elapsed_s >= growth.after_s
        if is_due and len(present) - len(leaving) > growth.least and count <= spare:
            leaving.append(alias)
            spare -= count
    if not leaving:
        return None
    return Change(
        len(present) - len(leaving), f"it had nothing to do for {format_span(growth.after_s)}", tuple(leaving)
    )


def count_wanted_engines(load: Load, come_s: float) -> int:
    """Return how many engines have work for as long as another one takes to come, those that work now included.

    What pools have given to engines is at the controller and with the client: the greater number counts.
    """
    busy = sum(engine.tasks > 0 for engine in load.engines.values())
    pools = sum(_engines_for(demand, come_s) for demand in load.demands)
    return max(busy, pools) + load.unassigned


def _engines_for(demand: Demand, come_s: float) -> int:
    most = min(demand.items, demand.engines or demand.items)
    if not demand.item_s:
        return most
    return min(most, math.ceil(demand.items * demand.item_s / max(come_s, 1e-3)))


def engines_a_node(engine_ids: Mapping[str, range]) -> int:
    """Return how many engines a further node will have, as the other workers do; 0 where nobody can know."""
    workers = [len(ids) for alias, ids in engine_ids.items() if alias != MASTER]
    return max(workers, default=len(engine_ids.get(MASTER, ())))


def describe_wait(load: Load) -> str:
    """Return what waits, in words."""
    items = sum(demand.items for demand in load.demands)
    parts = [f"{plural(items, 'item')} of maps"] if items else []
    parts += [f"{plural(load.unassigned, 'task')} at the controller"] if load.unassigned else []
    return f"{' and '.join(parts) or 'work'} {'waits' if items + load.unassigned == 1 else 'wait'}"
