"""What `start` does about a cluster that runs: it asks the same probes as `status`, and restarts what fails them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.node import services, watch
from clusterctl.operations.status import probe_services
from clusterctl.service import ServiceHealth

if TYPE_CHECKING:
    from clusterctl.cluster_nodes import Cluster
    from clusterctl.operations.context import RunContext


def find_healthy(context: RunContext, cluster: Cluster) -> bool:
    """Return whether everything works on every node. A service of the master that fails its probe twice is restarted.

    The joins that follow where it is not start what does not run; what runs they leave alone.
    """
    for _ in range(2):  # a busy node may be late once
        rows, node_health = probe_services(context, cluster)
        if all(row.healthy for row in rows):
            return True
    failed = [instance for instance in node_health.services if instance.trouble]
    if node_health.services and not (node_health.watched or node_health.manager):
        failed.append(ServiceHealth(watch.NAME, 0, "it does not work"))
    if failed:
        _restart(cluster, failed)
    return False


def _restart(cluster: Cluster, failed: list[ServiceHealth]) -> None:
    for instance in failed:
        cluster.say(f"Restarting the {instance.service} on {cluster.master.alias}: {instance.trouble}")
    names = [services.instance(instance.service, instance.number) for instance in failed]
    script = services.restart(cluster.master, names)
    try:
        cluster.on(cluster.master).run_script(script, name="services: restart", sudo=True)
    except ClusterctlError as exc:
        cluster.say(f"It did not restart: {exc.message}")
