"""Questions to the controller: who is registered, and whether all of it works."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl.clock import Deadline
from clusterctl.errors import DeadlineError, RemoteError
from clusterctl.node import services
from clusterctl.node.programs import run_program
from clusterctl.node.run_as import as_user
from clusterctl.notes import ENGINE_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import PurePosixPath

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.service import ServiceHealth

T = TypeVar("T")
BUSY = "busy"
"""What is said of a task that found no idle engine."""
_QUESTION = "clusterctl.on_node.with_ipyparallel.ask_hub"
_ENGINE_ID = re.compile("[0-9]{1,9}")
_SLICE_S = 10.0
"""The first interval of a wait, after which it checks for services that gave up. Each interval is twice the last."""


@dataclass(frozen=True)
class HubAnswer:
    """The answer of the controller."""

    answered: bool
    engines: Mapping[int, str] = field(default_factory=dict)
    """Registered engines: the uuid of each id. The uuid changes when an engine restarts."""
    client: Mapping[str, Any] = field(default_factory=dict)
    """The content of the connection file for clients, as seen from the master."""
    notebook: Mapping[str, Any] = field(default_factory=dict)
    """The port and token of the notebook; empty where none is set up. ``late``: it does not answer; ``foreign``:
    another program has its port."""
    trouble: Sequence[str] = ()
    """The parts of the controller that do not answer; only where engines were waited for."""
    task: str = ""
    """What went wrong with a task that was run on an idle engine; BUSY where no engine is idle."""
    draining: Sequence[int] = ()
    """Engines whose node will be taken: they are given nothing new. Only where engines were waited for."""


def profile(node: Node) -> PurePosixPath:
    """Return the folder of the IPython profile of the controller and engines on a node."""
    return node.layout.state / "ipython" / "profile_cluster"


def ask(
    cluster: Cluster,
    *,
    wait_for: Sequence[int] = (),
    wait_s: float = 0.0,
    but_not: Mapping[int, str] | None = None,
    forget: Sequence[int] = (),
    notebook: bool = False,
    patience_s: float = 0.0,
) -> HubAnswer:
    """Ask which engines are registered. Wait until certain engines are, or for `wait_s` seconds. One remote command.

    Args:
        cluster: the cluster of the controller.
        wait_for: engine ids to wait for.
        wait_s: the longest wait in seconds; the answer itself gets at least 2 seconds.
        but_not: uuids by id that do not count: engines that are being replaced.
        forget: ids of dead engines; the controller would only notice after many missed heartbeats.
        notebook: wait for the notebook too, within the same time; ``late`` in its facts says that it is missing.
        patience_s: how long the answer may take where the wait is shorter: a machine may be slow to begin with it.
    """
    master = cluster.master
    question = {
        "security": str(profile(master) / "security"),
        "wait_for": list(wait_for),
        "wait_s": max(2.0, wait_s),
        "but_not": {str(number): uuid for number, uuid in (but_not or {}).items()},
        "forget": list(forget),
        "notebook": notebook,
    }
    python = master.layout.env / "bin" / "python"
    script = as_user(master, cluster.user, f"exec {run_program(python, _QUESTION, question)}")
    if not wait_for:
        script = answer_without_controller(master) + script

    def on_line(line: str) -> None:
        if line.startswith("progress "):
            cluster.progress("Waiting for engines to register", int(line.split()[1]), len(wait_for))

    result = cluster.on(master).run_script(
        script,
        name="ipcluster: count engines",
        on_line=on_line,
        timeout_s=max(2.0, wait_s, patience_s) + 30,
        secret=True,
        sudo=True,
        reads=True,
    )
    return parse_answer(master, result.stdout, _parse_hub_answer)


def _parse_hub_answer(answer: dict[str, Any]) -> HubAnswer:
    answer["engines"] = {int(number): uuid for number, uuid in answer["engines"].items()}
    answer["draining"] = [int(number) for number in answer.get("draining", ())]
    return HubAnswer(**answer)


def parse_answer(master: Node, output: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """Parse the last line of a program's output. It is a node's word."""
    try:
        return parse(json.loads(output.splitlines()[-1]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as exc:
        raise RemoteError(
            f"{master.alias}: the question to the controller got an answer that cannot be read",
            remedy=f"log in there and see what prints: `clusterctl sshnode {master.cluster} {master.alias} true`",
            node=master.alias,
        ) from exc


def answer_without_controller(master: Node) -> str:
    """Return shell code that ends a script with an answer where no controller runs.

    Starting Python to find this out takes ten times as long.
    """
    no_answer = json.dumps({"answered": False, "engines": {}})
    return (
        f"if [ -r /proc/self/cmdline ] && ! {{ {services.manager_runs(master)}; }} &&\n"
        "    ! grep -qsaE 'ip(yparallel.)?controller' /proc/[0-9]*/cmdline; then\n"
        f"    echo '{no_answer}'\n    exit 0\nfi\n"
    )


def wait(
    cluster: Cluster, wanted: Mapping[str, range], *, timeout_s: float, revive: Callable[[Node, set[int]], None]
) -> HubAnswer:
    """Wait until all engines are registered and the notebook answers, no more can come, or time is up.

    Args:
        cluster: the cluster of the controller.
        wanted: the ids to wait for, by the alias of their node.
        timeout_s: the longest wait in seconds.
        revive: called with each node and its missing engines, when none has registered for a while. The last message
            of a replaced engine can remove its successor from the controller's list.

    Raises:
        DeadlineError: the controller itself does not answer, or has given up.
    """
    numbers = [number for ids in wanted.values() for number in ids]
    deadline = Deadline.after(timeout_s)
    slice_s = _SLICE_S
    before: set[int] | None = None
    while True:
        left_s = deadline.left_s
        answer = ask(cluster, wait_for=numbers, wait_s=min(slice_s, left_s), notebook=True, patience_s=left_s)
        over = deadline.is_over
        missing = set(numbers) - set(answer.engines) - set(answer.draining)
        late = {alias for alias, ids in wanted.items() if missing & set(ids)}
        waits_for_notebook = answer.notebook.get("late") and not answer.notebook.get("foreign")
        if waits_for_notebook or not answer.answered:
            late.add(cluster.master.alias)
        if over or all(_gave_up(cluster, alias) for alias in late):
            break
        if answer.answered and missing == before:
            _revive_missing(cluster, wanted, missing, revive)
        before = missing
        slice_s *= 2
    if not answer.answered:
        raise DeadlineError(
            "the controller on the master does not answer",
            remedy=f"see `clusterctl logs {cluster.name} master`; the same `start` tries again",
        )
    return answer


def _revive_missing(
    cluster: Cluster, wanted: Mapping[str, range], missing: set[int], revive: Callable[[Node, set[int]], None]
) -> None:
    for alias, ids in wanted.items():
        if missing & set(ids):
            with suppress(RemoteError):  # the caller reports the missing engines after the wait
                revive(cluster.node(alias), missing & set(ids))


def _gave_up(cluster: Cluster, alias: str) -> bool:
    """Return whether a service of this node has stopped for good, or the node does not answer."""
    node = cluster.node(alias)
    try:
        states = services.ask_states(cluster, node)
    except RemoteError:
        return True
    # One that ends each time it has started is in one of both: the watch lets it try again, without an end.
    return any(state.detail.startswith(("fatal", "backoff")) for state in states)


def registered(instances: Sequence[ServiceHealth]) -> set[int] | None:
    """Return the ids of the engines that the controller knows, by what its probe found; None where it has no probe.

    One that does not answer knows none.
    """
    controller = next((instance for instance in instances if instance.service == "controller"), None)
    if controller is None:
        return None
    engines = controller.facts.get("engines")
    if not isinstance(engines, dict):
        return set()
    return {int(number) for number in engines if isinstance(number, str) and _ENGINE_ID.fullmatch(number)}


def engine_ids(cluster: Cluster) -> dict[str, range]:
    """Return the ids that each node's engines request, by alias."""
    entries = cluster.recall(ENGINE_IDS) or {}
    return {alias: range(first, first + count) for alias, (first, count) in entries.items()}


def keep_engine_ids(cluster: Cluster, ids: Mapping[str, range]) -> None:
    """Record the ids of each node's engines."""
    cluster.remember(ENGINE_IDS, {alias: (numbers.start, len(numbers)) for alias, numbers in ids.items()})


def lowest_gap(taken: Sequence[range], count: int) -> range:
    """Return the lowest `count` consecutive ids that are free."""
    start = 0
    for numbers in sorted((n for n in taken if n), key=lambda n: n.start):
        if start + count <= numbers.start:
            break
        start = max(start, numbers.stop)
    return range(start, start + count)
