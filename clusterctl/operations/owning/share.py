"""`share`: let another person's key log in to the nodes, so that they can attach the cluster on their computer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.identity.keys import extract_public_key
from clusterctl.journal.ids import fingerprint
from clusterctl.model import Facet, NodeState
from clusterctl.node.render import render
from clusterctl.notes import SHARED_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext


@dataclass(frozen=True)
class SharedCluster:
    """What the other person needs to know."""

    name: str
    id: str
    address: str
    """Of the master's SSH server, as ``host:port``."""
    host_fingerprint: str
    """Of the master's host key."""
    nodes: tuple[str, ...]
    """The nodes that let the key in."""


def share_cluster(context: RunContext, key_text: str) -> SharedCluster:
    """Let a public key log in to all nodes, and to those that join later.

    Args:
        context: the context of the run.
        key_text: the line of a .pub file.

    Raises:
        UsageError: it is no public key.
        RemoteError: a node could not be told.
    """
    try:
        key = " ".join(extract_public_key(key_text).split()[:2])
    except ValueError as exc:
        raise UsageError(
            f"this is no public key: {exc}", remedy="name a .pub file, such as ~/.ssh/id_ed25519.pub"
        ) from exc
    with context.lock():
        nodes = context.provider.nodes(context.name)
        running = [node for node in nodes if node.state == NodeState.RUNNING]
        cluster = context.make_cluster(nodes)
        try:
            known = cluster.recall(SHARED_KEYS) or ()
            admit_by_ssh(cluster, [key], running)
            # Remembered once all have it: nodes that join later get it at their join.
            cluster.remember(SHARED_KEYS, tuple(dict.fromkeys([*known, key])))
        finally:
            cluster.close()
        master = cluster.master
        return SharedCluster(
            name=context.name,
            id=context.folder.cluster_id,
            address=f"{master.address}:{master.port}",
            host_fingerprint=fingerprint(context.folder.host_keys().get(master.machine_id) or master.host_key),
            nodes=tuple(node.alias for node in running),
        )


def admit_by_ssh(cluster: Cluster, keys: Sequence[str], nodes: Sequence[Node]) -> None:
    """Let keys log in to nodes as the user who sets them up. May run twice."""

    def admit(node: Node) -> None:
        script = render(
            "admit_keys.sh.j2",
            keys=keys,
            user=node.user,
            state=node.layout.state,
            machine=Facet.MACHINE in node.facets,
        )
        cluster.on(node).run_script(script, name="admit keys")

    cluster.each(admit, nodes)
