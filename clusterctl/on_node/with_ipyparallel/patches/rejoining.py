"""An engine that is on the list again goes on with the tasks that it has.

ipyparallel's task scheduler waits five seconds before it gives up the tasks of an engine that went off the list, and
then forgets the engine. An engine that was frozen may be back by then (see `hub`): every task would fail at what is
missing of it, without a word to anybody.
"""

from __future__ import annotations

from typing import Any

from ipyparallel.controller.task_scheduler import TaskScheduler

from . import guards

_EXPECTED = (
    guards.Expected(
        TaskScheduler, "_register_engine", ("self", "uid"), ("targets", "loads", "completed", "failed", "pending")
    ),
    guards.Expected(
        TaskScheduler, "_unregister_engine", ("self", "uid"), ("targets", "pending", "add_timeout", "completed")
    ),
    guards.Expected(
        TaskScheduler,
        "handle_stranded_tasks",
        ("self", "engine"),
        ("pending", "dispatch_result", "completed", "failed"),
    ),
)
_OWN: dict[str, Any] = {
    name: getattr(TaskScheduler, name, None) for name in ("_register_engine", "handle_stranded_tasks")
}


def apply() -> None:
    """Have task schedulers keep what they know of an engine that is back."""
    reason = guards.difference(*_EXPECTED)
    if reason:
        guards.leave_alone(reason, "an engine that was frozen for half a minute may end the sharing out of tasks")
        return
    TaskScheduler._register_engine = register_engine  # noqa: SLF001
    TaskScheduler.handle_stranded_tasks = handle_stranded_tasks


def register_engine(scheduler: Any, uid: bytes) -> None:
    """Give an engine work, and keep what it has. One that is on the list already is not put there twice."""
    if uid in scheduler.targets:
        return
    tasks = scheduler.pending.get(uid) or {}
    _OWN["_register_engine"](scheduler, uid)
    scheduler.pending[uid].update(tasks)
    scheduler.loads[scheduler.targets.index(uid)] += len(tasks)


def handle_stranded_tasks(scheduler: Any, engine: bytes) -> None:
    """Give up the tasks of an engine that is still off the list, unless that was done already."""
    if engine not in scheduler.targets and engine in scheduler.completed:
        _OWN["handle_stranded_tasks"](scheduler, engine)
