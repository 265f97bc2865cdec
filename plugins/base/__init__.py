"""What every machine of a cluster needs: name, names and keys of the others, cluster user, packages, scratch space.

A join is one script a node, which changes only what differs. On a machine that stays all of it is undone when the
node leaves.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from clusterctl.api import (
    Cluster,
    Facet,
    Node,
    Note,
    Order,
    Plugin,
    Request,
    as_user,
    hookimpl,
    render,
    run_reported,
)

from .certificates import read_certificates
from .members import MemberLists, host_names, member_values, unproxied_names
from .options import Options


@dataclass(frozen=True)
class UserNumbers:
    """The cluster user's name and numbers, the same on all nodes."""

    name: str
    uid: int
    gid: int


_USER = Note("base user", UserNumbers)


class Base(Plugin[Options]):
    """Makes machines members of one cluster, as far as users, names, keys and packages go."""

    needs = frozenset({Facet.MACHINE})
    on_every_cluster = True
    order = Order.USERS

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()
        self._lists = MemberLists()
        self._root_key = ""

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The system packages that its options need."""
        certificates = ("ca-certificates",) if self.options.ca_certificates else ()
        return Request(apt=(*certificates, *(("sudo",) if self.options.sudo else ())))

    @hookimpl
    def clusterctl_prepare(self) -> None:
        """Read the certificates, so that one that is not there costs no machine."""
        read_certificates(self.options.ca_certificates)

    @hookimpl
    def clusterctl_bake(self, cluster: Cluster, node: Node) -> None:
        """Certificates, archive and system packages; the proxy is used and not kept."""
        run_reported(cluster, node, render("base_bake.sh.j2", **self._system_values(cluster)), name="base: packages")

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """All of it, in one script; on the master first, whose numbers of the user are everybody's."""
        members = member_values(cluster, self.options)
        self._lists.forget(cluster, node, members)
        numbers = {} if node.is_master else self._user_numbers(cluster)
        script = render(
            "base_join.sh.j2",
            **self._system_values(cluster),
            **members,
            **self._wanted_user(cluster, node),
            **numbers,
            mark=cluster.mark,
            lasting=Facet.LASTING in node.facets,
            master=node.is_master,
            host=host_names(cluster, node)[0],
            variables=dict(cluster.request.environment),
            programs=node.layout.programs,
            here=f"({cluster.name} {node.alias}) ",
            # On a host that is somebody's its own users keep their shells as they are.
            also="" if Facet.LASTING in node.facets else node.user,
            home=node.layout.home,
            shell=cluster.machines.shell,
            volumes=_user_volumes(cluster),
            sudo=self.options.sudo,
            scratch=self._scratch_values(cluster),
            root_key=self._key_of_root(cluster, node),
        )
        report = run_reported(cluster, node, script, name="base: machine")
        if node.is_master:
            numbers_there = UserNumbers(cluster.user, int(report.facts["uid"]), int(report.facts["gid"]))
            cluster.remember(_USER, numbers_there)
        self._lists.record(node, members)

    @hookimpl
    def clusterctl_members(self, cluster: Cluster) -> None:
        """Tell those nodes that have another list who the members are; nobody if all have this one."""
        members = member_values(cluster, self.options)
        script = render("base_update.sh.j2", **members)

        def update(node: Node) -> None:
            run_reported(cluster, node, script, name="base: members")
            self._lists.record(node, members)

        try:
            cluster.each(update, self._lists.find_behind(cluster, members))
        finally:
            self._lists.keep(cluster)

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Take all of it off a machine that stays."""
        forget = render("base_forget_key.sh.j2", cluster=cluster.name)
        layout = node.layout
        script = render(
            "base_leave.sh.j2",
            user=cluster.user,
            cluster=cluster.name,
            mark=cluster.mark,
            master=node.is_master,
            forget_key=as_user(node, cluster.user, forget),
            scratch=self.options.scratch_path,
            keep_home=self.options.keep_home,
            folders=[
                *(layout.env.parent, layout.cache, layout.logs, layout.run),
                *(PurePosixPath("/etc/clusterctl"), layout.state),
            ],
        )
        run_reported(cluster, node, script, name="base: leave")

    def _system_values(self, cluster: Cluster) -> dict[str, Any]:
        """What base_system.sh.j2 takes."""
        shell = () if cluster.machines.shell == "bash" else (cluster.machines.shell,)
        return {
            "proxy": self.options.http_proxy,
            "no_proxy": unproxied_names(cluster, self.options),
            "mirror": self.options.apt_mirror,
            "certificates": read_certificates(self.options.ca_certificates),
            "packages": [*cluster.request.apt, *(name for name in shell if name not in cluster.request.apt)],
        }

    def _wanted_user(self, cluster: Cluster, node: Node) -> dict[str, Any]:
        """What the master's choice of the user's numbers takes, and the user's own key."""
        keys = render("base_keys.sh.j2", cluster=cluster.name, public_key=cluster.public_key)
        former = _remembered_user(cluster)
        return {
            "wanted": self.options.uid,
            "former": former.uid if former else None,
            "own_key": as_user(node, cluster.user, keys),
        }

    def _user_numbers(self, cluster: Cluster) -> dict[str, int]:
        """The user's numbers, as the master has them."""
        with self._lock:  # workers join side by side
            known = _remembered_user(cluster)
            if known is None:
                command = f"id -u {cluster.user} && id -g {cluster.user}"
                uid, gid = cluster.on(cluster.master).run(command, sudo=True).stdout.split()
                known = UserNumbers(cluster.user, int(uid), int(gid))
                cluster.remember(_USER, known)
            return {"uid": known.uid, "gid": known.gid}

    def _scratch_values(self, cluster: Cluster) -> str:
        if self.options.scratch == "none":
            return ""
        devices = [] if self.options.scratch == "auto" else re.split(r"\s*,\s*", self.options.scratch)
        return render("base_scratch.sh.j2", user=cluster.user, path=self.options.scratch_path, devices=devices)

    def _key_of_root(self, cluster: Cluster, node: Node) -> str:
        """The private key that root has on every member: made on the master, kept in memory here."""
        if not self.options.root_ssh or node.is_master:
            return ""
        with self._lock:
            if not self._root_key:
                result = cluster.on(cluster.master).run("cat /root/.ssh/clusterctl", secret=True, sudo=True)
                self._root_key = result.stdout.strip()
            return self._root_key


def _user_volumes(cluster: Cluster) -> list[PurePosixPath]:
    """The volumes whose root is the user's once they are new and empty: not one that the home itself lies on."""
    home = cluster.master.layout.home
    paths = [volume.mount_path for volume in cluster.machines.volumes]
    return [path for path in paths if path != home and path not in home.parents]


def _remembered_user(cluster: Cluster) -> UserNumbers | None:
    """The user's numbers, if they are known and still this user's."""
    known = cluster.recall(_USER)
    return known if known and known.name == cluster.user else None
