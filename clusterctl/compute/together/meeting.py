"""Brings engines together: each is held for the group and says where it listens, then all call the function."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, pause
from clusterctl.compute.calls.choices import check_real
from clusterctl.compute.engines.crew import Engine
from clusterctl.compute.failures import NoEnginesError
from clusterctl.compute.together.program import InEngine, MemberCall
from clusterctl.compute.together.rounds import LostEngineError, Meetings, Round
from clusterctl.compute.work import new_id
from clusterctl.errors import ClusterctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipyparallel import Client

_FAN_IN = 2
"""Members below each one in the tree."""
_OTHERS_S = 2.0
"""For the others, when a member is lost: they hear of it by themselves. For that one, to say what it was."""
_AGAIN_S = (0.02, 0.2)
"""Before engines are asked for again that another group has."""
_HELD_S = 60.0
"""For which an engine is held, besides the time that others may take to be free."""
_CLOCK_S = 10.0**9


class MemberLostError(ClusterctlError):
    """An engine of a group is lost: all others have got an error that names it.

    Attributes:
        rank: its number in the group.
        engine: its id.
    """

    def __init__(self, rank: int, engine: int, why: str) -> None:
        super().__init__(
            f"member {rank} of the group, engine {engine}, {why}",
            remedy="call again: an engine that has ended comes back. `clusterctl logs` says what ended it",
        )
        self.rank, self.engine = rank, engine


class EnginesBusyError(ClusterctlError):
    """Engines are at other work, so that they cannot work together."""


@dataclass(frozen=True)
class GroupOptions:
    """What a group is told by name.

    Raises:
        ValueError: a value makes no sense.
        TypeError: a number is none.
    """

    engines: Sequence[int] | None = None
    """The ids of the members, by their ranks; None: all engines that are there."""
    wait_s: float = 30.0
    """For engines that are at other work."""
    timeout_s: float | None = None
    """For all of it."""
    silence_s: float = 10.0
    """A member whose machine or process says nothing for so long counts as lost. One that computes does not."""

    def __post_init__(self) -> None:
        for name in ("wait_s", "timeout_s", "silence_s"):
            value = getattr(self, name)
            check_real(name, value)
            if value is not None and not 0 < value < _CLOCK_S:
                raise ValueError(f"{name} is above 0, not {value!r}")
        if self.engines is not None and (not self.engines or len(set(self.engines)) != len(self.engines)):
            raise ValueError(f"engines are ids, each once, and at least one of them; not {list(self.engines)}")


def run_together(
    client: Client,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: GroupOptions,
    *,
    own: Sequence[tuple[Any, ...]] | None = None,
) -> list[Any]:
    """Return what a function gives on each engine, by rank. See `Client.together`.

    Args:
        client: of these engines.
        function: called with the group first.
        args: its other arguments.
        kwargs: its arguments by name.
        options: who takes part.
        own: arguments for each rank alone, that come before `args`.

    Raises:
        MemberLostError: a member is lost.
        EnginesBusyError: not all of them were free in time.
        TimeoutError: it took too long.
        Exception: what the function has raised on the member of the lowest rank.
    """
    meetings = Meetings.of(client)
    engines = _choose(meetings, options.engines)
    deadline = Deadline.after(options.timeout_s or _CLOCK_S)
    held_s = options.wait_s + _HELD_S
    name = {
        "group": new_id(),
        "size": len(engines),
        "fan_in": _FAN_IN,
        "silence_s": options.silence_s,
        "held_s": held_s,
    }
    peers = _hold(meetings, engines, name, options, deadline)
    requests = [
        {**name, "rank": rank, "peers": peers, "connect_s": options.wait_s, "own": own[rank] if own else ()}
        for rank in range(len(engines))
    ]
    try:
        run = Round(meetings, MemberCall(function, args, kwargs), engines, requests)
    except BaseException:
        _let_go(meetings, engines, name)
        raise
    return _call(run, engines, deadline)


def _choose(meetings: Meetings, ids: Sequence[int] | None) -> list[Engine]:
    registered = meetings.channel.engines()
    missing = sorted(set(ids or ()) - registered.keys())
    if missing or not registered:
        problem = f"there is no engine {', '.join(map(str, missing))}" if missing else "no engine is there"
        raise NoEnginesError(
            problem, remedy="client.ids has those that are there; `clusterctl start` repairs a cluster"
        )
    staying = [number for number, uuid in sorted(registered.items()) if uuid not in meetings.draining]
    return [Engine(number, registered[number]) for number in (staying or sorted(registered) if ids is None else ids)]


def _hold(
    meetings: Meetings, engines: Sequence[Engine], name: dict[str, Any], options: GroupOptions, deadline: Deadline
) -> list[dict[str, Any]]:
    """Have all engines held for this group. Return what each said, by rank."""
    until = min(deadline, Deadline.after(options.wait_s))
    requests = [{**name, "rank": rank} for rank in range(len(engines))]
    while True:
        asked = Round(meetings, InEngine("hold"), engines, requests)
        answers: dict[int, dict[str, Any]] = {}
        try:
            asked.begin()
            for rank, value, error in asked.answers(until):
                if isinstance(error, LostEngineError):
                    raise MemberLostError(rank, engines[rank].id, "has ended")
                if error is not None:
                    raise error
                answers[rank] = value
        except BaseException:
            _let_go(meetings, engines, name)
            raise
        finally:
            asked.close(ends_engines=False)
        if len(answers) == len(engines) and all(answers.values()):
            return [answers[rank] for rank in range(len(engines))]
        _let_go(meetings, engines, name)
        if deadline.is_over:
            raise TimeoutError("the engines were not together in time")
        if until.is_over:
            busy = [engine.id for rank, engine in enumerate(engines) if not answers.get(rank)]
            raise EnginesBusyError(
                f"at other work for more than {options.wait_s:g} s: engines {', '.join(map(str, busy))}",
                remedy="wait for it, or end it with `clusterctl cancel`; engines=[...] names those that are free",
            )
        pause(random.uniform(*_AGAIN_S))  # noqa: S311  two clients that want the same engines part


def _let_go(meetings: Meetings, engines: Sequence[Engine], name: dict[str, Any]) -> None:
    """Tell engines that they are not needed, without waiting for them."""
    registered = meetings.channel.engines().values()
    wanted = [engine for engine in engines if engine.uuid in registered]
    told = Round(meetings, InEngine("let_go"), wanted, [name for _ in wanted])
    told.begin()
    meetings.rounds.discard(told)


def _call(run: Round, engines: Sequence[Engine], deadline: Deadline) -> list[Any]:
    values: dict[int, Any] = {}
    raised: dict[int, BaseException] = {}
    lost: dict[int, str] = {}
    until = deadline
    try:
        run.begin()
        while run.pending and not until.is_over:
            for rank, value, error in run.answers(until):
                if isinstance(error, LostEngineError):
                    lost[rank] = "has ended"
                elif error is not None:
                    raised[rank] = error
                elif value[0] == "lost":
                    lost.setdefault(*value[1])
                else:
                    values[rank] = value[1]
                if (lost or raised) and until is deadline:
                    until = min(deadline, Deadline.after(_OTHERS_S))
                    break
    finally:
        run.close(ends_engines=True)
    if raised:
        raise raised[min(raised)]
    if lost:
        rank = next(iter(lost))
        raise MemberLostError(rank, engines[rank].id, lost[rank])
    if len(values) < len(engines):
        missing = ", ".join(str(engine.id) for rank, engine in enumerate(engines) if rank not in values)
        raise TimeoutError(f"the group was not done in time; engines {missing} were still at it")
    return [values[rank] for rank in range(len(engines))]
