"""A cluster of fake nodes, which is what the hooks of a plugin want."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.cluster import Cluster
from clusterctl.events import Event
from clusterctl.model import MASTER, Machines, Node, Request
from clusterctl.testing.nodes import fake_node
from clusterctl.testing.remotes import Answers, FakeConnector, Ran

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class FakeCluster(Cluster):
    """A `Cluster` of fake nodes.

    Attributes:
        connector: makes and keeps the fake remotes.
        events: what the user was told, oldest first.
        remembered: what was kept with the cluster, by key.
    """

    connector: FakeConnector
    events: list[Event]
    remembered: dict[str, object]

    @property
    def ran(self) -> list[Ran]:
        """Everything that was run on any node, oldest first."""
        return self.connector.ran

    @property
    def said(self) -> list[str]:
        """The text of every event."""
        return [event.text for event in self.events]


def fake_cluster(
    folder: Path,
    *,
    nodes: int | Iterable[Node] = 3,
    answers: Answers | None = None,
    request: Request | None = None,
    notes: Mapping[str, object] | None = None,
    name: str = "lab",
    machines: Machines | None = None,
) -> FakeCluster:
    """A cluster to call a plugin's hooks with.

    Args:
        folder: where the laptop keeps the cluster's files: pytest's `tmp_path`.
        nodes: how many, the master and its workers; or the nodes themselves, made by `fake_node`.
        answers: what scripts and commands give, by their name.
        request: what all plugins want on every node.
        notes: what was remembered before.
        name: the cluster's.
        machines: what the template says of every machine; by default only that its user is ``me``.
    """
    if isinstance(nodes, int):
        aliases = [MASTER, *(f"node{number:03d}" for number in range(1, nodes))]
        nodes = [fake_node(alias, cluster=name) for alias in aliases]
    if folder.is_dir() and not (folder / "id_ed25519.pub").exists():
        (folder / "id_ed25519.pub").write_text(f"ssh-ed25519 AAAA clusterctl-{name}\n", encoding="utf-8")
    connector, events, remembered = FakeConnector(answers), list[Event](), dict(notes or {})
    cluster = FakeCluster(
        name,
        machines=machines or Machines("me"),
        nodes=nodes,
        request=request or Request(),
        folder=folder,
        connector=connector,
        report=events.append,
        notes=notes or {},
        remember=remembered.__setitem__,
    )
    cluster.connector, cluster.events, cluster.remembered = connector, events, remembered
    return cluster
