"""The cluster user's home, and what else all nodes shall see the same, from the master by NFSv4.

The master exports to its members' addresses and to nobody else. Workers mount on first use, after a boot too, and wait
for a master that comes back later.
"""

from __future__ import annotations

import re
import threading
from pathlib import PurePosixPath
from typing import Any, Literal

from clusterctl.api import (
    Cluster,
    CommaList,
    Facet,
    Field,
    Flag,
    Node,
    PluginError,
    Request,
    Section,
    hookimpl,
    render,
    run_reported,
)

_SHARES = "nfs shares"
_CLIENTS = "nfs clients"
"""The keys under which the cluster remembers what is exported, and to whom."""
_MOUNT = ("rw", "hard", "noatime", "_netdev", "nofail", "x-systemd.automount", "x-systemd.mount-timeout=60")
_PATH = re.compile(r"/[^\s\"\\#]+")
_FEWEST, _MOST, _PER_WORKER = 16, 256, 8


class Options(Section):
    """The options of the `nfs` plugin."""

    paths: CommaList = Field(
        (),
        description="folders of the master to share beside the cluster user's home and the volumes",
        examples=["/opt/data, /home"],
    )
    threads: int | Literal["auto"] = Field(
        "auto", description="threads of the server; auto: 8 for each worker, from 16 to 256", examples=["64"]
    )
    mount_options: CommaList = Field(
        (), description="options of mounts on workers, beside our own", examples=["nconnect=4"]
    )
    no_root_squash: Flag = Field(default=False, description="let root on workers be root on the shared folders too")


class Nfs:
    """Shares folders of the master with the workers."""

    needs = frozenset({Facet.MACHINE})
    instead = frozenset({Facet.SHARED_HOME})

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()

    @staticmethod
    @hookimpl
    def clusterctl_settings() -> type[Section]:
        """The options of `[plugin nfs]`."""
        return Options

    @hookimpl
    def clusterctl_request(self) -> Request:
        """Server and client; on workers the server is switched off."""
        return Request(apt=("nfs-kernel-server", "nfs-common"))

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Export from the master, mount on a worker."""
        if Facet.INIT not in node.facets:
            raise PluginError(
                f"{node.alias}: NFS needs systemd there, which mounts again after a boot",
                remedy="use nodes with systemd, or nodes that share the homes already (SHARED_HOME = yes)",
            )
        if node.is_master:
            cluster.remember(_SHARES, [str(path) for path in self._shares(cluster)])
            self._export(cluster, server=True)
        else:
            with self._lock:  # whoever is first tells the master of all
                if node.private_address not in _remembered(cluster, _CLIENTS):
                    self._export(cluster)
            self._mount(cluster, node)

    @hookimpl
    def clusterctl_members(self, cluster: Cluster) -> None:
        """Export to the present members only."""
        shared = _remembered(cluster, _SHARES)
        if shared and cluster.master.reachable and _clients(cluster) != _remembered(cluster, _CLIENTS):
            self._export(cluster)

    @hookimpl
    def clusterctl_leave(self, cluster: Cluster, node: Node) -> None:
        """Take mounts and exports off machines that outlive the cluster. Elsewhere `members` withdraws the export."""
        if Facet.LASTING not in node.facets or not node.reachable:
            return
        script = render("nfs_leave.sh.j2", cluster=cluster.name, mark=cluster.mark, master=node.is_master)
        run_reported(cluster, node, script, name="nfs: leave")

    def _shares(self, cluster: Cluster) -> list[PurePosixPath]:
        """What is exported, each once, parents first."""
        wanted = [
            cluster.master.layout.home,
            *(PurePosixPath(path) for path in cluster.request.shared),
            *(volume.mount_path for volume in cluster.machines.volumes),
            *(PurePosixPath(path) for path in self._options.paths),
        ]
        wrong = [str(path) for path in wanted if not _PATH.fullmatch(str(path)) or ".." in path.parts]
        if wrong:
            raise PluginError(
                f"these cannot be shared: {', '.join(wrong)}", remedy="write absolute paths below /, without blanks"
            )
        return sorted(set(wanted))

    def _export(self, cluster: Cluster, *, server: bool = False) -> None:
        """Write the master's exports for all nodes that are known now; with `server` see to the server too."""
        shares = [PurePosixPath(path) for path in _remembered(cluster, _SHARES)] or self._shares(cluster)
        clients = _clients(cluster)
        script = render(
            "nfs_export.sh.j2",
            server=server,
            shares=shares,
            clients=clients,
            volumes=[volume.mount_path for volume in cluster.machines.volumes],
            options=self._export_options(),
            threads=self._threads(len(clients)),
        )
        run_reported(cluster, cluster.master, script, name="nfs: export")
        cluster.remember(_CLIENTS, clients)

    def _export_options(self) -> str:
        return f"rw,sync,no_subtree_check,{'no_root_squash' if self._options.no_root_squash else 'root_squash'}"

    def _threads(self, workers: int) -> int:
        if self._options.threads != "auto":
            return self._options.threads
        return max(_FEWEST, min(_MOST, _PER_WORKER * workers))

    def _mount(self, cluster: Cluster, node: Node) -> None:
        if Facet.LASTING in node.facets and node.user == cluster.user:
            raise PluginError(
                f"{node.alias}: {cluster.user} logs in there, and the master's {node.layout.home} would hide its home",
                remedy="take another CLUSTER_USER than the hosts' own user, or SHARED_HOME = yes if they share homes",
            )
        shares = [PurePosixPath(path) for path in _remembered(cluster, _SHARES)] or self._shares(cluster)
        # What lies within another share is reached through that.
        tops = [path for path in shares if not set(path.parents) & set(shares)]
        script = render("nfs_mount.sh.j2", **self._mount_values(cluster, tops))
        run_reported(cluster, node, script, name="nfs: mount")

    def _mount_values(self, cluster: Cluster, tops: list[PurePosixPath]) -> dict[str, Any]:
        address = cluster.master.private_address
        return {
            "cluster": cluster.name,
            "server": f"[{address}]" if ":" in address else address,
            "folders": tops,
            "options": ",".join((*_MOUNT, *self._options.mount_options)),
        }


def _clients(cluster: Cluster) -> list[str]:
    """The workers' addresses, sorted."""
    return sorted({node.private_address for node in cluster.workers if node.private_address})


def _remembered(cluster: Cluster, key: str) -> list[str]:
    known = cluster.recall(key)
    return [str(each) for each in known] if isinstance(known, list) else []
