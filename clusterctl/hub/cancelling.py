"""Ends what runs and what waits at the engines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import StateError
from clusterctl.hub.questions import answer_without_controller, parse_answer, profile
from clusterctl.node.programs import run_program
from clusterctl.node.run_as import as_user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster

_CANCEL = "clusterctl.on_node.with_ipyparallel.cancel_work"
_FREE_S = 5.0
"""For an engine that was interrupted; then it is ended, and its service starts it anew."""
_WORD = re.compile(r"[\w.-]{1,80}", re.ASCII)


@dataclass(frozen=True)
class EngineTask:
    """What an engine was at."""

    client: str
    """The session of the client that had sent it."""
    kind: str
    """The type of the message: ``apply_request`` or ``execute_request``."""
    seconds: float


@dataclass(frozen=True)
class Cancelled:
    """What was there to cancel, and what became of it."""

    engines: Mapping[int, str]
    """Registered engines: the uuid of each id."""
    running: Mapping[int, EngineTask]
    """By engine: what it was at."""
    waiting: Mapping[str, int]
    """By the session of a client: how many tasks waited in the queue of the task scheduler."""
    interrupted: Sequence[int] = ()
    ended: Sequence[int] = ()
    """Engines that did not let themselves be interrupted, and were killed."""
    deaf: Sequence[int] = ()
    """Engines that did not answer, or are of an older version."""


def cancel_work(cluster: Cluster, *, client: str = "", look: bool = False, engines: bool = True) -> Cancelled:
    """End what runs and what waits at the engines. Whoever gave it gets an error. One remote command.

    Args:
        cluster: the cluster of the controller.
        client: the session of the client whose work it is; empty for everybody's.
        look: only tell what there is.
        engines: interrupt engines, too, and have them leave out what waits there.

    Raises:
        StateError: the controller does not answer, or knows no cancelling.
    """
    master = cluster.master
    values = {
        "security": str(profile(master) / "security"),
        "client": client,
        "look": look,
        "engines": engines,
        "wait_s": _FREE_S,
    }
    python = master.layout.env / "bin" / "python"
    script = as_user(master, cluster.user, f"exec {run_program(python, _CANCEL, values)}")
    result = cluster.on(master).run_script(
        answer_without_controller(master) + script,
        name="ipcluster: cancel work",
        timeout_s=_FREE_S + 60,
        sudo=True,
        reads=True,
    )
    answer = parse_answer(master, result.stdout, _parse_cancelled)
    if answer is None:
        raise StateError(
            f"the controller of {cluster.name} does not answer",
            remedy=f"`clusterctl status {cluster.name}` says more; `clusterctl start {cluster.name}` repairs it",
        )
    return answer


def _parse_cancelled(answer: dict[str, Any]) -> Cancelled | None:
    if not answer["answered"]:
        return None
    if not answer["knows"]:
        raise StateError(
            "the controller was started by an older version, which cannot cancel",
            remedy="`clusterctl runplugin ipclusterrestart` ends what engines do; what waits goes on",
        )
    tasks = {
        int(number): EngineTask(task["client"], task["kind"], float(task["seconds"]))
        for number, task in answer["running"].items()
    }
    for word in (*answer["waiting"], *(word for task in tasks.values() for word in (task.client, task.kind))):
        if not _WORD.fullmatch(word):
            raise ValueError(word)
    return Cancelled(
        engines={int(number): uuid for number, uuid in answer["engines"].items()},
        running=tasks,
        waiting={client: int(count) for client, count in answer["waiting"].items()},
        interrupted=sorted(map(int, answer["interrupted"])),
        ended=sorted(map(int, answer["ended"])),
        deaf=sorted(map(int, answer["deaf"])),
    )
