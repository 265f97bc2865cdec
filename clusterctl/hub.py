"""What the ipyparallel controller knows. Asked on the master: no tunnel, and no ipyparallel on the laptop."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.render import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

    from clusterctl.cluster import Cluster
    from clusterctl.model import Node

_NOTE = "engine_ids"


@dataclass(frozen=True)
class HubAnswer:
    """The controller's view."""

    answered: bool
    engines: Mapping[int, str] = field(default_factory=dict)
    """Registered engines: id to the uuid that changes when an engine restarts."""
    client: Mapping[str, Any] = field(default_factory=dict)
    """The connection file for clients, as seen from the master."""
    notebook: Mapping[str, Any] = field(default_factory=dict)
    """Port and token of the notebook; empty where none is set up."""


def profile(node: Node) -> PurePosixPath:
    """The IPython profile of the controller and engines on a node."""
    return node.layout.state / "ipython" / "profile_cluster"


def ask(
    cluster: Cluster,
    *,
    wait_for: Sequence[int] = (),
    wait_s: float = 0.0,
    but_not: Mapping[int, str] | None = None,
    forget: Sequence[int] = (),
) -> HubAnswer:
    """Ask who is registered; wait until certain engines are, or for `wait_s` seconds. One remote command.

    Args:
        cluster: whose controller.
        wait_for: engine ids to wait for.
        wait_s: how long at most; at least 2 seconds are given to the answer itself.
        but_not: uuids by id that do not count: engines that are being replaced.
        forget: ids whose engines are dead; the controller would only notice after many missed heartbeats.
    """
    master = cluster.master
    question = {
        "security": str(profile(master) / "security"),
        "wait_for": list(wait_for),
        "wait_s": max(2.0, wait_s),
        "but_not": {str(number): uuid for number, uuid in (but_not or {}).items()},
        "forget": list(forget),
    }
    script = render("hub_ask.sh.j2", python=master.layout.env / "bin" / "python", question=json.dumps(question))

    def on_line(line: str) -> None:
        if line.startswith("progress "):
            cluster.progress("Waiting for engines to register", int(line.split()[1]), len(wait_for))

    result = cluster.on(master).run_script(
        script, name="ipcluster: count engines", on_line=on_line, timeout_s=max(2.0, wait_s) + 30, secret=True
    )
    answer = json.loads(result.stdout.splitlines()[-1])
    answer["engines"] = {int(number): uuid for number, uuid in answer["engines"].items()}
    return HubAnswer(**answer)


def engine_ids(cluster: Cluster) -> dict[str, range]:
    """The ids that each node's engines ask for, by alias."""
    found = cluster.recall(_NOTE)
    entries = found.items() if isinstance(found, dict) else ()
    return {alias: range(first, first + count) for alias, (first, count) in entries}


def keep_engine_ids(cluster: Cluster, ids: Mapping[str, range]) -> None:
    """Remember which ids belong to which node."""
    cluster.remember(_NOTE, {alias: [numbers.start, len(numbers)] for alias, numbers in ids.items()})


def lowest_gap(taken: Sequence[range], count: int) -> range:
    """The lowest `count` ids in a row that nobody has."""
    start = 0
    for numbers in sorted((n for n in taken if n), key=lambda n: n.start):
        if start + count <= numbers.start:
            break
        start = max(start, numbers.stop)
    return range(start, start + count)
