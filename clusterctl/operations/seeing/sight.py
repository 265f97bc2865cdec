"""What a cluster does at one moment, put together from what was heard of it. Pure: it asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.model import NodeState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from clusterctl.clients.detached.model import Status
    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.model import Node
    from clusterctl.operations.nodes.detached import ClientMaps
    from clusterctl.operations.seeing.listening import Heard
    from clusterctl.operations.seeing.readings import EngineWork, Load, Work
    from clusterctl.providers.money import Spending

IDLE, BUSY, MISSING = "idle", "busy", "missing"


@dataclass(frozen=True)
class NodeSight:
    """A node, and what is heard of it."""

    alias: str
    state: str
    """As the provider has it."""
    load: Load | None
    """None: nothing was heard."""
    silent_s: float | None
    """For how long it has been silent; None where it is not."""
    trouble: str
    """Why nothing is heard of it; empty where something is."""
    engines: int
    """Of its engines, those that the controller knows."""
    busy: int


@dataclass(frozen=True)
class EngineSight:
    """An engine that the controller knows, or should."""

    number: int
    node: str
    """The alias of its node; empty if nobody knows."""
    state: str
    """IDLE, BUSY or MISSING."""
    work: EngineWork | None


@dataclass(frozen=True)
class MapSight:
    """A detached map that goes on."""

    status: Status
    rate: float | None
    """Items that were done in a second."""


@dataclass(frozen=True)
class Sight:
    """What a cluster does at one moment."""

    name: str
    at: datetime
    nodes: tuple[NodeSight, ...]
    engines: tuple[EngineSight, ...]
    answered: bool
    """Whether the controller has said what it has."""
    waiting: int
    rate: float | None
    """Tasks that ended in a second."""
    maps: tuple[MapSight, ...]
    """Those that are not over."""
    jobs: tuple[JobStatus, ...]
    """Those that are not over, the newest one last."""
    spending: Spending | None
    """None where nodes cost nothing, or nobody knows yet."""
    notes: tuple[str, ...]
    """What could not be seen, and why."""
    clients: tuple[ClientMaps, ...] = ()
    """What clients map now."""


def see_nodes(
    nodes: Sequence[Node],
    heard: Mapping[str, Heard[Load]],
    engines: Sequence[EngineSight],
    *,
    patience_s: float,
    prompt_s: float,
) -> tuple[NodeSight, ...]:
    """Return the nodes with what was heard of them.

    Args:
        nodes: as the provider has them.
        heard: by alias.
        engines: of the cluster.
        patience_s: for how long a node may tell nothing before it is silent.
        prompt_s: the same for one that has told nothing yet.
    """
    sights = []
    for node in nodes:
        one = heard.get(node.alias)
        late_s = prompt_s if one is None or one.value is None else patience_s
        sights.append(_see_node(node, one, engines, late_s))
    return tuple(sights)


def _see_node(node: Node, heard: Heard[Load] | None, engines: Sequence[EngineSight], late_s: float) -> NodeSight:
    own = [engine for engine in engines if engine.node == node.alias and engine.state != MISSING]
    busy = sum(engine.state == BUSY for engine in own)
    if heard is None or node.state != NodeState.RUNNING:
        return NodeSight(node.alias, node.state.value, None, None, "", len(own), busy)
    trouble = heard.trouble or ("it tells nothing" if heard.age_s >= late_s else "")
    silent_s = heard.age_s if trouble else None
    load = None if trouble else heard.value
    return NodeSight(node.alias, node.state.value, load, silent_s, trouble, len(own), busy)


def see_engines(work: Work | None, ids: Mapping[str, range]) -> tuple[EngineSight, ...]:
    """Return the engines that the controller knows, and those that it should know, by their ids.

    Args:
        work: what the controller has said; None if nothing.
        ids: the ids of each node's engines, by alias.
    """
    if work is None or not work.answered:
        return ()
    homes = {number: alias for alias, numbers in ids.items() for number in numbers}
    sights = []
    for number in sorted({*work.engines, *homes}):
        engine = work.engines.get(number)
        state = MISSING if engine is None else BUSY if engine.tasks else IDLE
        sights.append(EngineSight(number, homes.get(number, ""), state, engine))
    return tuple(sights)
