"""A provider whose machines others see too: somebody else may have a cluster of the same name there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from clusterctl.journal import ClusterFolder
from clusterctl.providers.namesakes import group_nodes, unproven_error
from clusterctl.testing import FakeProvider, fake_node

SINCE = datetime(2026, 1, 1, 8, 30, tzinfo=timezone.utc)


def stranger(alias="master", id_="feed", cluster="lab"):
    """A node of somebody else's cluster."""
    name = f"{id_}-{alias}"
    owner, since = "you@there", SINCE
    return fake_node(alias, cluster=cluster, id=name, machine_id=name, cluster_id=id_, owner=owner, launched_at=since)


@dataclass
class SharedProvider(FakeProvider):
    """Keeps the promises of `Shared`: what it ends has the id that the journal of this home says."""

    home: Path = Path("none")
    strangers: list = field(default_factory=list)
    """Nodes that others have made."""

    def _id(self, cluster):
        return ClusterFolder(self.home, cluster).cluster_id

    def _all(self, cluster):
        return [*super().nodes(cluster), *(node for node in self.strangers if cluster in (None, node.cluster))]

    def namesakes(self, cluster):
        return group_nodes(self._all(cluster))

    def nodes(self, cluster=None):
        known = self._id(cluster) if cluster else ""
        return [node for node in self._all(cluster) if not known or node.cluster_id == known]

    def create(self, plan, **more):
        own = self._id(plan.cluster)
        assert own, "whatever is made has an id"
        super().create(plan, **more)
        self.machines = {key: replace(node, cluster_id=own, owner="me@here") for key, node in self.machines.items()}
        wanted = {spec.alias for spec in plan.nodes}
        return [node for node in self.nodes(plan.cluster) if node.alias in wanted]

    def destroy(self, cluster, aliases=None):
        self._prove(cluster)
        own = self._id(cluster)
        taken = [node for node in self.strangers if (node.cluster, node.cluster_id) == (cluster, own)]
        self.strangers = [node for node in self.strangers if node not in taken]
        super().destroy(cluster, aliases)

    def stop(self, cluster):
        self._prove(cluster)
        super().stop(cluster)

    def _prove(self, cluster):
        if not self._id(cluster) and self.namesakes(cluster):
            raise unproven_error(cluster, self.namesakes(cluster))
