"""How an engine becomes a member of a group: it listens first, and says where; then it connects, and calls.

An engine is held for one group between these two. Others are told so, and come again: two groups that had each half of
the engines would wait for each other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # Their texts come before this one.
    from ..doors import own_address  # noqa: TC004
    from .group import Group  # noqa: TC004
    from .mpi_group import MpiGroup  # noqa: TC004
    from .tree import above, below  # noqa: TC004
    from .wires import MemberLostError, Wires  # noqa: TC004
    from .worlds import world_name  # noqa: TC004


class Held:
    """The group that this engine is held for."""

    name = ""
    until = 0.0
    """If its client has not come back by then, another group may have the engine."""
    wires: Wires | None = None

    @classmethod
    def release(cls) -> None:
        """Let the engine go."""
        if cls.wires is not None:
            cls.wires.close(0)
        cls.name, cls.wires = "", None


def hold(request: dict[str, Any]) -> dict[str, Any]:
    """Listen for the neighbours of a member to be. Return where; or nothing, if the engine is held for another group.

    Args:
        request: ``group``, ``rank``, ``size``, ``fan_in``, ``silence_s``, ``held_s``.
    """
    if Held.name not in {"", request["group"]} and time.monotonic() < Held.until:
        return {}
    Held.release()
    ranks = below(request["rank"], request["size"], request["fan_in"])
    Held.wires = Wires(ranks, request["silence_s"], request.get("address") or own_address())
    Held.name, Held.until = request["group"], time.monotonic() + request["held_s"]
    told = {"address": Held.wires.address, "ports": Held.wires.ports, "key": Held.wires.key}
    return {**told, "world": world_name()}


def let_go(request: dict[str, Any]) -> None:
    """Hold the engine no more for a group that will not be."""
    if Held.name == request["group"]:
        Held.release()


def run_member(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], request: dict[str, Any]
) -> tuple[str, Any]:
    """Call a function as one member of a group. Return ``value`` and its value, or ``lost``, a rank and why.

    Args:
        function: what is called with the group first.
        args: its other arguments.
        kwargs: its arguments by name.
        request: as for `hold`, and ``peers``: what all members said, by rank; ``connect_s``; ``own``: an argument of
            this member alone, or nothing.
    """
    if Held.name != request["group"] or Held.wires is None:
        return "lost", (request["rank"], "was held for this group no more: too much time had passed")
    wires, Held.wires, Held.name = Held.wires, None, ""
    try:
        group = _connect(wires, request)
    except MemberLostError as error:
        wires.close(0)
        return "lost", (error.rank, error.why)
    except BaseException:
        wires.close(0)
        raise
    failure: BaseException | None = None
    try:
        return "value", function(group, *request["own"], *args, **kwargs)
    except BaseException as error:
        failure = error
        if group.failure is None:
            raise
        return "lost", (group.failure.rank, group.failure.why)
    finally:
        group.end(failure)


def _connect(wires: Wires, request: dict[str, Any]) -> Group:
    rank, size, fan_in, peers = (request[name] for name in ("rank", "size", "fan_in", "peers"))
    leader = None
    if rank:
        upper = above(rank, fan_in)
        leader = upper, peers[upper]["address"], peers[upper]["ports"][rank], peers[upper]["key"]
    wires.connect(leader, {other: peers[other]["key"] for other in below(rank, size, fan_in)}, request["connect_s"])
    worlds = tuple(peer["world"] for peer in peers)
    if all(worlds) and size > 1:
        return MpiGroup(rank, size, fan_in, wires, worlds)
    return Group(rank, size, fan_in, wires)


def reduce_variable(group: Group, name: str, op: Any, *, fetch: bool) -> Any:
    """Replace a variable of each engine's session by what becomes of all of them."""
    from IPython import get_ipython

    session = get_ipython().user_ns
    if name not in session:
        raise NameError(f"name {name!r} is not defined on this engine: client[:][{name!r}] = ... defines it on all")
    session[name] = group.allreduce(session[name], op)
    return session[name] if fetch and group.rank == 0 else None


def reduce_result(group: Group, function: Callable[[], Any], op: Any) -> Any:
    """Return what becomes of the values of a function on each engine."""
    value = group.allreduce(function(), op)
    return value if group.rank == 0 else None
