"""What members know of each other: names, addresses, host keys; and which node was told which list of them."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

from clusterctl.api import Cluster, Facet, Node, Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .options import Options

_MEMBERS = Note("base members", dict[str, str])
"""By alias: the node, and which list of members it was given."""
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


class MemberLists:
    """Which list of members each node has. Nodes join side by side: its methods may be called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: dict[str, str] = {}
        """By alias: the list that the node was given in this run."""

    def forget(self, cluster: Cluster, node: Node, members: Mapping[str, Any]) -> None:
        """Do not trust what a node was given by an earlier run once it is given something else."""
        given = _list_of(node, _digest(members))
        with self._lock:
            known = _recall_lists(cluster)
            if known.get(node.alias, given) != given:
                cluster.remember(_MEMBERS, {alias: had for alias, had in known.items() if alias != node.alias})

    def record(self, node: Node, members: Mapping[str, Any]) -> None:
        """Record that a node has this list now."""
        given = _list_of(node, _digest(members))
        with self._lock:
            self._written[node.alias] = given

    def find_behind(self, cluster: Cluster, members: Mapping[str, Any]) -> list[Node]:
        """Return the nodes that run and have another list."""
        with self._lock:
            have = {**_recall_lists(cluster), **self._written}
        running = [node for node in cluster.nodes if node.reachable and node.state.value == "running"]
        digest = _digest(members)
        return [node for node in running if have.get(node.alias) != _list_of(node, digest)]

    def keep(self, cluster: Cluster) -> None:
        """Remember the lists of all nodes with the cluster."""
        with self._lock:
            known = {**_recall_lists(cluster), **self._written}
        cluster.remember(_MEMBERS, {node.alias: known[node.alias] for node in cluster.nodes if node.alias in known})


def _list_of(node: Node, digest: str) -> str:
    """Return what tells a node's list from others: the very machine that has it, and its content."""
    return f"{node.id} {digest}"


def _digest(members: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()[:16]


def _recall_lists(cluster: Cluster) -> dict[str, str]:
    return cluster.recall(_MEMBERS) or {}


def member_values(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Return what base_members.sh.j2 takes."""
    known = [node for node in cluster.nodes if node.private_address]
    return {
        "cluster": cluster.name,
        "user": cluster.user,
        "root_ssh": options.root_ssh,
        "hosts": [(node.private_address, host_names(cluster, node)) for node in known],
        "host_keys": [
            (_host_patterns(cluster, node), node.host_key)
            for node in known
            # One that many were born with proves nothing. Whoever gets its own later is told in clusterctl_members.
            if node.host_key and not node.bootstrap_key
        ],
        "ports": [
            ([*host_names(cluster, node), node.private_address], node.port)
            for node in known
            if Facet.LASTING in node.facets and node.port != 22
        ],
        "environment": _proxy_variables(cluster, options),
    }


def _proxy_variables(cluster: Cluster, options: Options) -> dict[str, str]:
    values: dict[str, str] = {}
    if options.http_proxy:
        for name in ("http_proxy", "https_proxy"):
            values[name] = values[name.upper()] = options.http_proxy
        values["no_proxy"] = values["NO_PROXY"] = unproxied_names(cluster, options)
    if options.ca_certificates:
        values |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), _BUNDLE)
        # Two names: uv has renamed it.
        values |= dict.fromkeys(("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"), "true")
    return values


def unproxied_names(cluster: Cluster, options: Options) -> str:
    """Return the hosts that are reached without the proxy, as its variables take them."""
    members = [name for node in cluster.nodes for name in (*host_names(cluster, node), node.private_address) if name]
    return ",".join(dict.fromkeys([*("localhost", "127.0.0.1", "::1"), *members, *options.no_proxy.split(",")])).rstrip(
        ","
    )


def host_names(cluster: Cluster, node: Node) -> list[str]:
    """Return the host's name, then its other ones."""
    whole = f"{cluster.name}-{node.alias}".replace("_", "-")
    return [whole, node.alias] if cluster.machines.dns_prefix else [node.alias]


def _host_patterns(cluster: Cluster, node: Node) -> list[str]:
    """Return what ssh knows the node by: its names and its address, and these with the port if it is not 22."""
    plain = [*host_names(cluster, node), node.private_address]
    unusual = Facet.LASTING in node.facets and node.port != 22
    return [*plain, *(f"[{name}]:{node.port}" for name in plain if unusual)]
