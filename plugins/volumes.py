"""Disks that outlive clusters: found on the master, formatted only if blank and if that was asked for, and mounted.

So is the volume of HOME_VOLUME, which the provider has made and attached. Acts before `base`, so that the owner of a
home folder on a volume is known when the cluster user is made. The plugin `nfs` shares what is mounted. Anything that
is not as it should be stops the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.api import (
    Cluster,
    Facet,
    Node,
    NoOptions,
    Order,
    Plugin,
    PluginError,
    Volume,
    hookimpl,
    render,
    run_reported,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Volumes(Plugin[NoOptions]):
    """Mounts the template's VOLUMES."""

    needs = frozenset({Facet.MACHINE})
    on_every_cluster = True
    order = Order.DISKS

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Mount the volumes on the master. Where the provider mounts them on every node, see that it did."""
        everywhere = Facet.SHARED_VOLUMES in node.facets
        volumes = [volume for volume in cluster.machines.volumes if node.is_master or (everywhere and volume.id)]
        volumes = [*_home_of(node), *volumes]  # first: others may lie within it
        if not volumes:
            return
        if Facet.SHARED_HOME in node.facets and not everywhere and cluster.workers:
            names = ", ".join(volume.name for volume in volumes)
            cluster.say(f"Only the master has the volumes {names}: with SHARED_HOME nothing is exported")
        odd = [str(volume.mount_path) for volume in volumes if len(str(volume.mount_path).split()) > 1]
        if odd:
            raise PluginError(
                f"volumes cannot be mounted on {', '.join(odd)}", remedy="write MOUNT_PATH without blanks"
            )
        script = render(
            "volumes_join.sh.j2",
            cluster=cluster.name,
            mark=cluster.mark,
            lasting=Facet.LASTING in node.facets,
            volumes=[
                {"volume": volume, "device": _device_path(volume), "label": _short_label(volume)} for volume in volumes
            ],
        )
        run_reported(cluster, node, script, name="volumes: mount")

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Unmount what was mounted on the master. What is on the disks stays."""
        if not node.is_master:
            return
        script = render("volumes_leave.sh.j2", cluster=cluster.name, mark=cluster.mark, run=node.layout.run)
        run_reported(cluster, node, script, name="volumes: leave")


def _home_of(node: Node) -> Sequence[Volume]:
    """The volume that the provider has attached for the home. It is new once, and never formatted after that."""
    return [Volume("home", node.layout.home, id=node.home_volume, format=True)] if node.home_volume else []


def _device_path(volume: Volume) -> str:
    """Where the disk shows up on the master; EC2 names it after the volume, without the dash."""
    return volume.device or f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.id.replace('-', '')}"


def _short_label(volume: Volume) -> str:
    """A label short enough for its file system."""
    return volume.name[: 12 if volume.file_system == "xfs" else 16]
