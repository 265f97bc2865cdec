"""What every machine of a cluster needs: name, names and keys of the others, cluster user, packages, scratch space.

A join is one script a node, which changes only what differs. On a machine that stays all of it is undone when the
node leaves.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from clusterctl.api import (
    Cluster,
    Facet,
    Field,
    Flag,
    Node,
    Order,
    PathList,
    Plugin,
    PluginError,
    Request,
    Section,
    as_user,
    hookimpl,
    render,
    run_reported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_USER = "base user"
_MEMBERS = "base members"
"""The keys under which the cluster remembers the user's numbers, and which list of members each node has."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_DEVICES = r"^(auto|none|/dev/[\w./:+-]+(\s*,\s*/dev/[\w./:+-]+)*)$"
_URL = r"^https?://[^\s'\"]+$"


class Options(Section):
    """The options of the `base` plugin."""

    sudo: Flag = Field(default=False, description="let the cluster user become root without a password")
    root_ssh: Flag = Field(default=False, description="let root log in from any member to any other without a password")
    uid: int | None = Field(
        None,
        ge=1,
        le=60000,
        description="the cluster user's number; default: the owner of its home, else the first free one from 10000",
        examples=["10000"],
    )
    http_proxy: str | None = Field(
        None,
        pattern=_URL,
        description="proxy for what nodes fetch, by http and https",
        examples=["http://proxy.example.org:3128"],
    )
    no_proxy: str = Field(
        "",
        pattern=r"^[^\s'\"]*$",
        description="what is reached without the proxy, beside the members",
        examples=["pypi.example.org,.internal"],
    )
    apt_mirror: str | None = Field(
        None,
        pattern=_URL,
        description="archive of system packages to use instead of the image's own",
        examples=["http://mirror.example.org/debian"],
    )
    ca_certificates: PathList = Field(
        (),
        description="files on this computer with certificates (PEM) that the nodes shall trust",
        examples=["~/company-ca.pem"],
    )
    scratch: str = Field(
        "auto",
        pattern=_DEVICES,
        description="scratch space: auto (empty instance-store disks, else a folder), none, or block devices",
        examples=["/dev/nvme1n1, /dev/nvme2n1"],
    )
    scratch_path: PurePosixPath = Field(PurePosixPath("/scratch"), description="where scratch space is mounted")
    keep_home: Flag = Field(
        default=True, description="static: keep the home folder of a user that was made, when the cluster ends"
    )


class Base(Plugin[Options]):
    """Makes machines members of one cluster, as far as users, names, keys and packages go."""

    needs = frozenset({Facet.MACHINE})
    on_every_cluster = True
    order = Order.USERS

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()
        self._written: dict[str, str] = {}
        """By alias: which list of members the node was given in this run."""
        self._root_key = ""

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The system packages that its options need."""
        certificates = ("ca-certificates",) if self.options.ca_certificates else ()
        return Request(apt=(*certificates, *(("sudo",) if self.options.sudo else ())))

    @hookimpl
    def clusterctl_prepare(self) -> None:
        """Read the certificates, so that one that is not there costs no machine."""
        self._read_certificates()

    @hookimpl
    def clusterctl_bake(self, cluster: Cluster, node: Node) -> None:
        """Certificates, archive and system packages; the proxy is used and not kept."""
        run_reported(cluster, node, render("base_bake.sh.j2", **self._system_values(cluster)), name="base: packages")

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """All of it, in one script; on the master first, whose numbers of the user are everybody's."""
        members = self._member_values(cluster)
        self._forget_list(cluster, node, _short_digest(members))
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
            host=_host_names(cluster, node)[0],
            home=node.layout.home,
            shell=cluster.machines.shell,
            volumes=_user_volumes(cluster),
            sudo=self.options.sudo,
            scratch=self._scratch_values(cluster),
            root_key=self._key_of_root(cluster, node),
        )
        report = run_reported(cluster, node, script, name="base: machine")
        if node.is_master:
            cluster.remember(
                _USER, {"name": cluster.user, "uid": int(report.facts["uid"]), "gid": int(report.facts["gid"])}
            )
        with self._lock:
            self._written[node.alias] = f"{node.id} {_short_digest(members)}"

    @hookimpl
    def clusterctl_members(self, cluster: Cluster) -> None:
        """Tell those nodes that have another list who the members are; nobody if all have this one."""
        members = self._member_values(cluster)
        wanted = {node.alias: f"{node.id} {_short_digest(members)}" for node in cluster.nodes}
        with self._lock:
            have = {**_as_lists(cluster), **self._written}
        running = [node for node in cluster.nodes if node.reachable and node.state.value == "running"]
        behind = [node for node in running if have.get(node.alias) != wanted[node.alias]]
        script = render("base_update.sh.j2", **members)

        def update(node: Node) -> None:
            run_reported(cluster, node, script, name="base: members")
            with self._lock:
                self._written[node.alias] = wanted[node.alias]

        try:
            cluster.each(update, behind)
        finally:
            with self._lock:
                known = {**have, **self._written}
            cluster.remember(_MEMBERS, {alias: known[alias] for alias in wanted if alias in known})

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
            "no_proxy": self._without_proxy(cluster),
            "mirror": self.options.apt_mirror,
            "certificates": self._read_certificates(),
            "packages": [*cluster.request.apt, *(name for name in shell if name not in cluster.request.apt)],
        }

    def _member_values(self, cluster: Cluster) -> dict[str, Any]:
        """What base_members.sh.j2 takes."""
        known = [node for node in cluster.nodes if node.private_address]
        return {
            "cluster": cluster.name,
            "user": cluster.user,
            "root_ssh": self.options.root_ssh,
            "hosts": [(node.private_address, _host_names(cluster, node)) for node in known],
            "host_keys": [
                (_host_patterns(cluster, node), node.host_key)
                for node in known
                # One that many were born with proves nothing. Whoever gets its own later is told in clusterctl_members.
                if node.host_key and not node.bootstrap_key
            ],
            "ports": [
                ([*_host_names(cluster, node), node.private_address], node.port)
                for node in known
                if Facet.LASTING in node.facets and node.port != 22
            ],
            "environment": self._proxy_variables(cluster),
        }

    def _proxy_variables(self, cluster: Cluster) -> dict[str, str]:
        values: dict[str, str] = {}
        if self.options.http_proxy:
            for name in ("http_proxy", "https_proxy"):
                values[name] = values[name.upper()] = self.options.http_proxy
            values["no_proxy"] = values["NO_PROXY"] = self._without_proxy(cluster)
        if self.options.ca_certificates:
            values |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), _BUNDLE)
            # Two names: uv has renamed it.
            values |= dict.fromkeys(("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"), "true")
        return values

    def _without_proxy(self, cluster: Cluster) -> str:
        members = [
            name for node in cluster.nodes for name in (*_host_names(cluster, node), node.private_address) if name
        ]
        return ",".join(
            dict.fromkeys([*("localhost", "127.0.0.1", "::1"), *members, *self.options.no_proxy.split(",")])
        ).rstrip(",")

    def _read_certificates(self) -> Mapping[str, str]:
        """File name on the node to one certificate, of all that the files hold."""
        pem_by_name: dict[str, str] = {}
        for path in self.options.ca_certificates:
            try:
                certificates = _CERTIFICATE.findall(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as exc:
                raise PluginError(
                    f"cannot read {path}: {exc}", remedy="correct CA_CERTIFICATES in [plugin base]"
                ) from exc
            if not certificates:
                raise PluginError(
                    f"{path} holds no certificate", remedy="name a PEM file, with lines -----BEGIN CERTIFICATE-----"
                )
            for pem in certificates:
                pem_by_name[f"clusterctl-{hashlib.sha256(pem.encode()).hexdigest()[:12]}.crt"] = pem
        return pem_by_name

    def _wanted_user(self, cluster: Cluster, node: Node) -> dict[str, Any]:
        """What the master's choice of the user's numbers takes, and the user's own key."""
        keys = render("base_keys.sh.j2", cluster=cluster.name, public_key=cluster.public_key)
        former = _remembered_user(cluster)
        return {
            "wanted": self.options.uid,
            "former": former["uid"] if former else None,
            "own_key": as_user(node, cluster.user, keys),
        }

    def _user_numbers(self, cluster: Cluster) -> dict[str, int]:
        """The user's numbers, as the master has them."""
        with self._lock:  # workers join side by side
            known = _remembered_user(cluster)
            if known is None:
                command = f"id -u {cluster.user} && id -g {cluster.user}"
                uid, gid = cluster.on(cluster.master).run(command, sudo=True).stdout.split()
                known = {"name": cluster.user, "uid": int(uid), "gid": int(gid)}
                cluster.remember(_USER, known)
            return {"uid": known["uid"], "gid": known["gid"]}

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

    def _forget_list(self, cluster: Cluster, node: Node, digest: str) -> None:
        """Do not trust what a node was given by an earlier run once it is given something else."""
        with self._lock:
            known = _as_lists(cluster)
            if node.alias in known and known[node.alias] != f"{node.id} {digest}":
                cluster.remember(_MEMBERS, {alias: had for alias, had in known.items() if alias != node.alias})


def _host_names(cluster: Cluster, node: Node) -> list[str]:
    """The host's name, then its other ones."""
    whole = f"{cluster.name}-{node.alias}".replace("_", "-")
    return [whole, node.alias] if cluster.machines.dns_prefix else [node.alias]


def _host_patterns(cluster: Cluster, node: Node) -> list[str]:
    """What ssh knows the node's key under: its names and its address, and these with the port if it is not 22."""
    plain = [*_host_names(cluster, node), node.private_address]
    unusual = Facet.LASTING in node.facets and node.port != 22
    return [*plain, *(f"[{name}]:{node.port}" for name in plain if unusual)]


def _user_volumes(cluster: Cluster) -> list[PurePosixPath]:
    """The volumes whose root is the user's once they are new and empty: not one that the home itself lies on."""
    home = cluster.master.layout.home
    paths = [volume.mount_path for volume in cluster.machines.volumes]
    return [path for path in paths if path != home and path not in home.parents]


def _short_digest(members: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()[:16]


def _as_lists(cluster: Cluster) -> dict[str, str]:
    known = cluster.recall(_MEMBERS)
    return dict(known) if isinstance(known, dict) else {}


def _remembered_user(cluster: Cluster) -> dict[str, Any] | None:
    """The user's numbers, if they are known and still this user's."""
    known = cast("dict[str, Any] | None", cluster.recall(_USER))
    return known if known and known["name"] == cluster.user else None
