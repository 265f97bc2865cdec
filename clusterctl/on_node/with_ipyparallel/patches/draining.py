"""A task scheduler gives nothing new to engines whose node will be taken, and lets them end what they are at."""

from __future__ import annotations

from typing import Any

from ..agreed import drains
from . import guards

_FULL = 2**30
"""Added to the load of such an engine: no engine has so much to do."""


def apply() -> None:
    """Have task schedulers take in the hub's word about engines that are given nothing new."""
    from ipyparallel.controller.task_scheduler import TaskScheduler

    own = TaskScheduler._unregister_engine  # noqa: SLF001
    reason = guards.difference(
        guards.Expected(TaskScheduler, "dispatch_notification", ("self", "msg"), ("_notification_handlers",)),
        guards.Expected(TaskScheduler, "available_engines", ("self",), ("hwm", "loads", "targets")),
        guards.Expected(TaskScheduler, "finish_job", ("self", "idx"), ("loads",)),
        guards.Expected(TaskScheduler, "update_graph", ("self", "dep_id", "success"), ("available_engines",)),
    )
    if reason:
        guards.leave_alone(reason, "engines of a node that will be taken are given tasks until they are stopped")
        return

    def unregister_engine(scheduler: Any, uuid: bytes) -> None:
        uuids = drains.read_uuids(uuid)
        if uuids is None:
            own(scheduler, uuid)
        else:
            fill_up(scheduler, uuids)

    TaskScheduler._unregister_engine = unregister_engine  # noqa: SLF001


def fill_up(scheduler: Any, draining: set[bytes]) -> None:
    """Have these engines count as full, and no others."""
    has_room = False
    for place, uuid in enumerate(scheduler.targets):
        is_full = scheduler.loads[place] >= _FULL // 2
        if (uuid in draining) != is_full:
            scheduler.loads[place] += -_FULL if is_full else _FULL
            has_room |= is_full
    if has_room:
        scheduler.update_graph(None)
