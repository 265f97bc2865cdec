"""A cluster of fake nodes, to pass to a plugin's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.cluster_nodes import Cluster
from clusterctl.events import Event, Reporter
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
        events: reported to the user, oldest first.
        remembered: values that hooks stored with the cluster, by key.
    """

    connector: FakeConnector
    events: list[Event]
    remembered: dict[str, object]

    @property
    def ran(self) -> list[Ran]:
        """All commands and scripts that were run on any node, oldest first."""
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
    """Return a cluster to call a plugin's hooks with.

    Args:
        folder: for the cluster's files on the laptop: pytest's `tmp_path`.
        nodes: number of nodes, with the master; or the nodes themselves, made by `fake_node`.
        answers: of scripts and commands, by their name.
        request: the merged requests of all plugins.
        notes: values that were stored before.
        name: of the cluster.
        machines: the template's settings for every machine; by default only the user ``me``.
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
        report=Reporter(events.append),
        notes=notes or {},
        remember=remembered.__setitem__,
        cluster_id=lambda: "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    )
    cluster.connector, cluster.events, cluster.remembered = connector, events, remembered
    return cluster
