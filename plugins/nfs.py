"""The cluster user's home, and what else all nodes shall see the same, by NFSv4: from the master, or from elsewhere.

The master exports to its members' addresses and to nobody else. Nodes mount on first use, after a boot too, and wait
for a server that comes back later. With SERVER the master is a client as all others, before there is a user, since the
owner of a home that is there already decides the user's number.
"""

from __future__ import annotations

import re
import threading
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from clusterctl.api import (
    Cluster,
    CommaList,
    Facet,
    Field,
    Flag,
    Node,
    Note,
    Order,
    Plugin,
    PluginError,
    Request,
    Section,
    hookimpl,
    render,
    run_reported,
)

_SHARES = Note("nfs shares", list[str])
_CLIENTS = Note("nfs clients", list[str])
_SERVER = Note("nfs server", str)
"""What is shared, with which addresses, and from where."""
_HOME_VOLUME = Note("nfs home volume", str)
"""The volume of its own that the home is on; empty for none. Such a home is shared only where that is mounted."""
_MASTER = "the master"
_AGAIN = ("retry=10000", "x-systemd.mount-timeout=infinity")
"""A mount waits for its server, for a week (in minutes). One that gave up would take down for good whatever needs it:
systemd starts no service again whose folder could not be mounted."""
_MOUNT = ("rw", "hard", "noatime", "_netdev", "nofail", "x-systemd.automount", *_AGAIN)
_ELSEWHERE = ("nfsvers=4.1", "rsize=1048576", "wsize=1048576", "timeo=600", "retrans=2")
"""What AWS advises for its file systems, and no other server minds."""
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(/[^\s\"'\\#,]*)")
_EFS = re.compile(r"\.efs\.[\w-]+\.amazonaws\.com(\.cn)?$")
_PATH = re.compile(r"/[^\s\"\\#]+")
_FEWEST, _MOST, _PER_WORKER = 16, 256, 8


class Options(Section):
    """The options of the `nfs` plugin."""

    server: str | None = Field(
        None,
        description="file system of an NFSv4 server (EFS, FSx for OpenZFS, your own) that all nodes mount, in place of"
        " the master's folders: HOST:/PATH",
        examples=["fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:/"],
    )
    paths: CommaList = Field(
        (),
        description="folders to share beside the cluster user's home and the volumes",
        examples=["/opt/data, /home"],
    )
    threads: Annotated[int, Field(ge=1, le=8192)] | Literal["auto"] = Field(
        "auto", description="threads of the master's server; auto: 8 for each worker, from 16 to 256", examples=["64"]
    )
    mount_options: CommaList = Field((), description="options of the mounts, beside our own", examples=["nconnect=4"])
    no_root_squash: Flag = Field(default=False, description="let root on workers be root on the shared folders too")


class Nfs(Plugin[Options]):
    """Shares folders with all nodes."""

    needs = frozenset({Facet.MACHINE})
    instead = frozenset({Facet.SHARED_HOME})
    on_every_cluster = True
    order = Order.SHARES

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()
        if options.server is not None:
            self.order = Order.FIRST  # a home from elsewhere must be there before its user

    @hookimpl
    def clusterctl_request(self) -> Request:
        """Server and client; on workers the server is switched off. Of a server elsewhere the client alone."""
        if self.options.server is None:
            return Request(apt=("nfs-kernel-server", "nfs-common"))
        _refuse_others(self.options.server)
        return Request(apt=("nfs-common",), homes_elsewhere=True)

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster) -> None:
        """Refuse what would hide homes that are in use, or disks that nobody but the master could see."""
        now = self.options.server or _MASTER
        before = cluster.recall(_SERVER) or (_MASTER if cluster.recall(_SHARES) else now)
        if now != before:
            raise PluginError(
                f"the homes of {cluster.name} are on {before}, and cannot move to {now} while it exists",
                remedy=f"put SERVER in [plugin nfs] back, or `clusterctl terminate {cluster.name}` first",
            )
        if self.options.server and cluster.machines.volumes:
            names = ", ".join(volume.name for volume in cluster.machines.volumes)
            raise PluginError(
                f"with SERVER in [plugin nfs] the master shares nothing, so no worker would see the volumes: {names}",
                remedy="put that data onto the file system of SERVER, or leave out SERVER, or VOLUMES",
            )

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Export from the master, mount on a worker; or mount on both from elsewhere."""
        if Facet.INIT not in node.facets:
            raise PluginError(
                f"{node.alias}: NFS needs systemd there, which mounts again after a boot",
                remedy="use nodes with systemd, or nodes that share the homes already (SHARED_HOME = yes)",
            )
        if node.is_master:
            cluster.remember(_SHARES, [str(path) for path in self._shared_paths(cluster)])
            if node.home_volume != (cluster.recall(_HOME_VOLUME) or ""):
                cluster.remember(_HOME_VOLUME, node.home_volume)
        if self.options.server:
            cluster.remember(_SERVER, self.options.server)
            self._mount_shares(cluster, node)
        elif node.is_master:
            self._write_exports(cluster, server=True)
        else:
            with self._lock:  # whoever is first tells the master of all
                if node.private_address not in _remembered_texts(cluster, _CLIENTS):
                    self._write_exports(cluster)
            self._mount_shares(cluster, node)

    @hookimpl
    def clusterctl_members(self, cluster: Cluster) -> None:
        """Export to the present members only."""
        shared = _remembered_texts(cluster, _SHARES) and not self.options.server
        if shared and cluster.master.reachable and _client_addresses(cluster) != _remembered_texts(cluster, _CLIENTS):
            self._write_exports(cluster)

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Take mounts and exports off. Where the machine ends, `members` withdraws the export."""
        exports = node.is_master and not self.options.server
        script = render(
            "nfs_leave.sh.j2", cluster=cluster.name, mark=cluster.mark, exports=exports, run=node.layout.run
        )
        run_reported(cluster, node, script, name="nfs: leave")

    def _shared_paths(self, cluster: Cluster) -> list[PurePosixPath]:
        """What is exported, each once, parents first."""
        wanted = [
            cluster.master.layout.home,
            *(PurePosixPath(path) for path in cluster.request.shared),
            *(volume.mount_path for volume in cluster.machines.volumes),
            *(PurePosixPath(path) for path in self.options.paths),
        ]
        wrong = [str(path) for path in wanted if not _PATH.fullmatch(str(path)) or ".." in path.parts]
        if wrong:
            raise PluginError(
                f"these cannot be shared: {', '.join(wrong)}", remedy="write absolute paths below /, without blanks"
            )
        return sorted(set(wanted))

    def _write_exports(self, cluster: Cluster, *, server: bool = False) -> None:
        """Write the master's exports for all nodes that are known now; with `server` see to the server too."""
        shares = [PurePosixPath(path) for path in _remembered_texts(cluster, _SHARES)] or self._shared_paths(cluster)
        clients = _client_addresses(cluster)
        mounted = [volume.mount_path for volume in cluster.machines.volumes]
        script = render(
            "nfs_export.sh.j2",
            server=server,
            shares=shares,
            clients=clients,
            volumes=[*mounted, *([cluster.master.layout.home] if cluster.recall(_HOME_VOLUME) else [])],
            options=self._export_options(),
            threads=self._count_threads(len(clients)),
        )
        run_reported(cluster, cluster.master, script, name="nfs: export")
        cluster.remember(_CLIENTS, clients)

    def _export_options(self) -> str:
        return f"rw,sync,no_subtree_check,{'no_root_squash' if self.options.no_root_squash else 'root_squash'}"

    def _count_threads(self, workers: int) -> int:
        if self.options.threads != "auto":
            return self.options.threads
        return max(_FEWEST, min(_MOST, _PER_WORKER * workers))

    def _mount_shares(self, cluster: Cluster, node: Node) -> None:
        shares = [PurePosixPath(path) for path in _remembered_texts(cluster, _SHARES)] or self._shared_paths(cluster)
        self._refuse_to_hide(cluster, node, shares)
        # What lies within another share is reached through that.
        tops = [path for path in shares if not set(path.parents) & set(shares)]
        script = render("nfs_mount.sh.j2", **self._mount_values(cluster, node, tops))
        run_reported(cluster, node, script, name="nfs: mount")

    def _refuse_to_hide(self, cluster: Cluster, node: Node, shares: list[PurePosixPath]) -> None:
        """The home of who logs in there must stay: its keys are what lets us in."""
        home = node.layout.home.parent / node.user
        hidden = {home, *home.parents} & set(shares) if self.options.server else set()
        if Facet.LASTING in node.facets and node.user == cluster.user:
            hidden = {node.layout.home}
        if hidden:
            raise PluginError(
                f"{node.alias}: {node.user} logs in there, and {hidden.pop()} would be mounted over its home",
                remedy="take another CLUSTER_USER than the login's, and leave its home out of PATHS;"
                " or SHARED_HOME = yes if static hosts share their homes",
            )

    def _mount_values(self, cluster: Cluster, node: Node, tops: list[PurePosixPath]) -> dict[str, Any]:
        own = self.options.mount_options
        values = {"cluster": cluster.name, "mark": cluster.mark, "lasting": Facet.LASTING in node.facets}
        if not self.options.server:
            address = cluster.master.private_address
            server = f"[{address}]" if ":" in address else address
            return values | {
                "server": "",
                "shares": [(f"{server}:{path}", path) for path in tops],
                "options": ",".join((*_MOUNT, *own)),
                "remedy": "see that the master's port 2049 is open to this node, and there: journalctl -u nfs-server",
            }
        host, path = _split_place(self.options.server)
        # After a break EFS takes a client back sooner from another port; others refuse ports that anybody may use.
        extra = (*_ELSEWHERE, *(("noresvport",) if _EFS.search(host) else ()), *own)
        return values | {
            "master": node.is_master,
            "server": f"{host}:{path or '/'}",
            "shares": [(f"{host}:{path}{folder}", folder) for folder in tops],
            "options": ",".join((*_MOUNT, *extra)),
            "plain_options": ",".join(("rw", "hard", *extra)),
            "remedy": "see that SERVER in [plugin nfs] is right, and that its firewall or security group lets this"
            " node in at port 2049",
        }


def _split_place(server: str) -> tuple[str, str]:
    """Host and path of ``HOST:/PATH``, the path without a slash at its end."""
    match = _PLACE.fullmatch(server)
    if match is None:
        raise PluginError(
            f"SERVER in [plugin nfs] is {server}",
            remedy="write HOST:/PATH, such as fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:/",
        )
    return match[1], match[2].rstrip("/")


def _refuse_others(server: str) -> None:
    """Say at once what is no place of an NFS server."""
    if "@tcp" in server:
        raise PluginError(
            f"{server} is FSx for Lustre, which speaks no NFS",
            remedy="use EFS or FSx for OpenZFS; or leave SERVER out, and mount it by USERDATA_SCRIPTS on every node,"
            " beside the homes",
        )
    _split_place(server)


def _client_addresses(cluster: Cluster) -> list[str]:
    """The workers' addresses, sorted."""
    return sorted({node.private_address for node in cluster.workers if node.private_address})


def _remembered_texts(cluster: Cluster, note: Note[list[str]]) -> list[str]:
    return cluster.recall(note) or []
