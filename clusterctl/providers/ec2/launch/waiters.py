"""Waiting for instances: each wait watches for the end of them too, and has a deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import Event, EventKind
from clusterctl.providers.ec2 import instances

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instances import Instance
    from clusterctl.providers.ec2.options import Options

_UNKNOWN_S = 60.0
"""For so long EC2 may not know of an instance that it has just launched ("eventual consistency")."""
_LATE_S = 8.0
"""How long after a request without an answer an instance of it may still show up, as far as we wait for it."""
_REACHABLE_S = 180.0
_STOP_S = 300.0
_END_S = 600.0
_FIRST_S, _LONGEST_S = 0.5, 5.0
"""Between two looks: it grows from one to the other."""
WAITING = "Waiting for instances"


def _looks(seconds: float) -> Iterator[float]:
    """The time since the beginning, at every look, until it is over."""
    began = time.monotonic()
    pause = _FIRST_S
    while (passed := time.monotonic() - began) < seconds:
        yield passed
        threading.Event().wait(pause)
        pause = min(_LONGEST_S, pause * 1.5)


def until_reachable(
    aws: Aws, cluster: str, ids: Sequence[str], *, options: Options, report: Callable[[Event], None]
) -> list[Instance]:
    """All instances of the cluster, once these have the addresses that they are reached by, or have ended.

    Args:
        aws: the account.
        cluster: its name.
        ids: of those that are waited for.
        options: by which address they are reached.
        report: told how many are there.
    """
    known: dict[str, Instance] = {}
    for passed in _looks(_REACHABLE_S):
        known = {each.id: each for each in instances.find(aws, cluster, states=(*instances.LIVING, *instances.ENDED))}
        ready = [id_ for id_ in ids if id_ in known and _is_ready(known[id_], options)]
        ended = [id_ for id_ in ids if id_ in known and known[id_].state in instances.ENDED]
        # Whoever is not known yet may be on its way to EC2's lists.
        unknown = [id_ for id_ in ids if id_ not in known and passed > _UNKNOWN_S]
        report(Event(EventKind.PROGRESS, WAITING, done=len(ready), total=len(ids) - len(ended) - len(unknown)))
        if len(ready) + len(ended) + len(unknown) == len(ids):
            break
    for id_ in ids:
        if id_ in known and known[id_].state in instances.ENDED:
            text = f"{id_} ended right after its launch: {known[id_].reason or 'AWS does not say why'}"
            report(Event(EventKind.WARNING, text))
    return [each for each in known.values() if each.state in instances.LIVING]


def _is_ready(instance: Instance, options: Options) -> bool:
    if instance.state not in {"pending", "running"} or not instance.private_address:
        return False
    if options.ssm or options.jump:
        return True
    wanted = "public" if options.address == "auto" and options.public_ips else options.address
    return bool(instance.address(wanted))


def until_running(aws: Aws, cluster: str, id_: str) -> None:
    """Return when an instance runs.

    Raises:
        ProviderError: it ended, or time was up.
    """
    for _ in _looks(_REACHABLE_S):
        states = {instance.id: instance.state for instance in instances.find(aws, cluster)}
        if states.get(id_) == "running":
            return
        if id_ not in states:
            break
    raise ProviderError(
        f"the instance {id_} of {cluster} does not run", remedy=f"see why: `clusterctl showconsole {id_}`"
    )


def until_stopped(aws: Aws, cluster: str) -> None:
    """Return when no instance of the cluster is on its way to being stopped: only then it can be started.

    Raises:
        ProviderError: time was up.
    """
    for _ in _looks(_STOP_S):
        if not any(instance.state == "stopping" for instance in instances.find(aws, cluster)):
            return
    raise ProviderError(
        f"instances of {cluster} are still stopping, after {_STOP_S:.0f} s",
        remedy=f"wait a while, then run `clusterctl start {cluster}`",
    )


def until_ended(aws: Aws, cluster: str, ids: Sequence[str] | None = None) -> list[str]:
    """Return when these instances, or all of the cluster, have ended; the ids of those that had not by the deadline."""
    states = (*instances.LIVING, "shutting-down")
    left: list[str] = []
    for _ in _looks(_END_S):
        found = instances.find(aws, cluster, states=states)
        left = [instance.id for instance in found if ids is None or instance.id in ids]
        if not left:
            break
    return left


def until_settled(aws: Aws, cluster: str) -> list[Instance]:
    """The instances of the cluster, once EC2 has had the time to know of all that was launched just now."""
    found: dict[str, Instance] = {}
    for _ in _looks(_LATE_S):
        found = {instance.id: instance for instance in instances.find(aws, cluster)}
    return list(found.values())
