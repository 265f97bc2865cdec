"""What `start` does about a cluster that runs: it asks the same probes as `status`, and restarts what fails them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.model import ServiceHealth
from clusterctl.node import services, watch
from clusterctl.operations.status import look_at_services

if TYPE_CHECKING:
    from clusterctl.cluster import Cluster
    from clusterctl.operations.context import RunContext


def find_healthy(context: RunContext, cluster: Cluster) -> bool:
    """Return whether everything works on every node. A service of the master that fails its probe twice is restarted.

    The joins that follow where it is not start what does not run; what runs they leave alone.
    """
    rows, found = look_at_services(context, cluster)
    if all(row.healthy for row in rows):
        return True
    failed = []
    if any(each.trouble for each in found.services):
        _, again = look_at_services(context, cluster)
        failed = [each for each in again.services if each.trouble]
    if found.services and not (found.watched or found.manager):
        failed.append(ServiceHealth(watch.NAME, 0, "it does not work"))
    if failed:
        _restart(cluster, failed)
    return False


def _restart(cluster: Cluster, failed: list[ServiceHealth]) -> None:
    for each in failed:
        cluster.say(f"Restarting the {each.service} on {cluster.master.alias}: {each.trouble}")
    script = services.restart(cluster.master, [services.instance(each.service, each.number) for each in failed])
    try:
        cluster.on(cluster.master).run_script(script, name="services: restart", sudo=True)
    except ClusterctlError as exc:
        cluster.say(f"It did not restart: {exc.message}")
