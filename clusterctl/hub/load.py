"""What engines are at, and what waits for more of them: at the controller, and with clients."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.hub.questions import parse_answer, profile
from clusterctl.node.programs import run_program
from clusterctl.node.run_as import as_user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.service import ServiceHealth

_ASK = "clusterctl.on_node.with_ipyparallel.ask_load"
_ASK_DEMAND = "clusterctl.on_node.system.ending.ask_demand"
_MOST = 1e15
_WAIT_S = 5.0
_DRAINED_S = 120.0
"""After which engines are given work again: who was killed between draining and ending a node leaves it useful."""


@dataclass(frozen=True)
class EngineLoad:
    """What an engine is at."""

    tasks: int
    """Those that it has."""
    completed: int
    """Those that it has done since the controller knows it."""


@dataclass(frozen=True)
class Demand:
    """What waits with one client."""

    items: int
    """Those that are not done."""
    item_s: float
    """Seconds that one takes; 0 if nobody knows."""
    engines: int
    """How many engines it wants; 0: as many as there are."""


@dataclass(frozen=True)
class Waiting:
    """What waits with all clients together, as they have told the controller."""

    clients: int
    """Those with whom something waits."""
    items: int
    """Those that are not done."""
    rate: float
    """How many were done in a second of late."""


def find_waiting(instances: Sequence[ServiceHealth]) -> Waiting | None:
    """Return what waits with clients, by what the controller's probe found; None where that does not say it."""
    for instance in instances:
        said = instance.facts.get("demand")
        if instance.service == "controller" and isinstance(said, dict):
            numbers = [said.get(name) for name in ("clients", "items", "rate")]
            if all(_is_count(number) for number in numbers):
                clients, items, rate = map(float, numbers)  # type: ignore[arg-type]  # so they were found
                return Waiting(int(clients), int(items), rate)
    return None


def _is_count(value: object) -> bool:
    """Return whether a node's word is a number that can be shown."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST


@dataclass(frozen=True)
class Load:
    """What there is to do."""

    answered: bool = False
    """Whether the controller has said it."""
    engines: Mapping[int, EngineLoad] = field(default_factory=dict)
    """By their ids."""
    unassigned: int = 0
    """Tasks that wait at the controller for any engine."""
    demands: tuple[Demand, ...] = ()


def ask_load(cluster: Cluster, *, drain: Sequence[int] = (), give_back: Sequence[int] = ()) -> Load:
    """Ask what engines are at, and what waits. One remote command; only who drains engines must own the master.

    Args:
        cluster: the cluster of the controller.
        drain: the ids of engines that are given nothing new from now on, for two minutes; then it is asked.
        give_back: the ids of engines that are given work again.

    Raises:
        RemoteError: the master does not answer.
    """
    master = cluster.master
    python = master.layout.env / "bin" / "python"
    question = {
        "security": str(profile(master) / "security"),
        "drain": list(drain),
        "give_back": list(give_back),
        "for_s": _DRAINED_S,
        "wait_s": _WAIT_S,
    }
    asked: list[tuple[str, dict[str, object]]] = [(_ASK_DEMAND, {"home": str(master.layout.home)}), (_ASK, question)]
    lines = "".join(run_program(python, program, values) for program, values in asked)
    result = cluster.on(master).run_script(
        as_user(master, cluster.user, lines),
        name="ask what waits",
        timeout_s=_WAIT_S + 30,
        sudo=True,
        reads=not (drain or give_back),
    )
    demands, _, answer = result.stdout.strip().rpartition("\n")
    return parse_answer(master, answer, lambda said: _parse_load(said, json.loads(demands.rpartition("\n")[2])))


def _parse_load(said: dict[str, Any], demands: list[list[float]]) -> Load:
    wanted = tuple(Demand(_count(items), _seconds(item_s), _count(engines)) for items, item_s, engines in demands)
    if said["answered"] is not True:
        return Load(demands=wanted)
    engines = {
        int(number): EngineLoad(_count(tasks), _count(completed))
        for number, (tasks, completed) in said["engines"].items()
    }
    return Load(answered=True, engines=engines, unassigned=_count(said["unassigned"]), demands=wanted)


def _count(value: object) -> int:
    return int(_seconds(value))


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("no number")
    return min(float(value), 1e12)
