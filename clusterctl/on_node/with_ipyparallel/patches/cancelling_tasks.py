"""A task scheduler empties its queue when somebody cancels what waits there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..agreed import cancels
from . import guards

if TYPE_CHECKING:
    from collections.abc import Iterator


def apply() -> None:
    """Have task schedulers take requests to empty their queue."""
    from ipyparallel.controller.task_scheduler import TaskScheduler

    own = TaskScheduler.dispatch_submission
    own_unregister = TaskScheduler._unregister_engine  # noqa: SLF001
    reason = guards.difference(
        guards.Expected(TaskScheduler, "dispatch_submission", ("self", "raw_msg"), ("feed_identities", "queue_map")),
        guards.Expected(TaskScheduler, "fail_unreachable", ("self", "msg_id", "why"), ("queue_map", "idents")),
        guards.Expected(TaskScheduler, "dispatch_result", ("self", "raw_msg"), ("retries", "handle_unmet_dependency")),
    )
    if reason:
        guards.leave_alone(reason, "`clusterctl cancel` does not reach tasks that wait")
        return

    def dispatch_submission(scheduler: Any, frames: list[Any]) -> None:
        if bytes(frames[0]).startswith(cancels.NAME):
            _answer(scheduler, frames)
        else:
            own(scheduler, frames)

    def unregister_engine(scheduler: Any, uuid: bytes) -> None:
        if uuid in scheduler.targets:  # a notice that work was cancelled names none
            own_unregister(scheduler, uuid)

    TaskScheduler.dispatch_submission = dispatch_submission
    TaskScheduler._unregister_engine = unregister_engine  # noqa: SLF001


def _answer(scheduler: Any, frames: list[Any]) -> None:
    idents, rest = scheduler.session.feed_identities(frames, copy=False)
    message = scheduler.session.deserialize(rest, copy=False)
    request = message["content"]
    waiting = Counter(str(job.header.get("session")) for job in _waiting(scheduler, request["client"]))
    if not request["look"]:
        empty_queue(scheduler, request["client"])
    content = {"status": "ok", "waiting": waiting}
    scheduler.session.send(scheduler.client_stream, cancels.REPLY, content, message, idents)


def _waiting(scheduler: Any, client: str) -> Iterator[Any]:
    for job in list(scheduler.queue_map.values()):
        if cancels.is_of(client, job.header.get("session")):
            yield job


def empty_queue(scheduler: Any, client: str) -> None:
    """Answer each task that waits that it was aborted, and try none of those again that are under way."""
    from ipyparallel.error import TaskAborted

    for tasks in scheduler.pending.values():
        for task, job in tasks.items():
            if task in scheduler.retries and cancels.is_of(client, job.header.get("session")):
                scheduler.retries[task] = 0
    for job in _waiting(scheduler, client):
        if job.msg_id in scheduler.queue_map:  # else it waited for one that has just failed
            scheduler.fail_unreachable(job.msg_id, TaskAborted)
