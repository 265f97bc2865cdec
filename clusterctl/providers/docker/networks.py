"""What the containers of a cluster share: a network of their own, and volumes."""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.providers.docker.engine import asking, is_missing, said
from clusterctl.providers.docker.records import CLUSTER, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from docker import APIClient

KEPT = "clusterctl.volume"
"""The label of a volume that outlives clusters."""
_TRIES = 5
_REMEDY = "remove networks that nobody uses: `docker network prune`; then start again"


@dataclass
class Network:
    """The network of a cluster, and who has which address on it."""

    name: str
    subnet: str
    gateway: str
    taken: set[str]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def give_address(self) -> str:
        """The lowest address that no node has, stopped ones included.

        Raises:
            ProviderError: the network is full.
        """
        with self.lock:
            for host in ipaddress.ip_network(self.subnet).hosts():
                if str(host) not in self.taken | {self.gateway}:
                    self.taken.add(str(host))
                    return str(host)
        raise ProviderError(f"the network {self.name} ({self.subnet}) is full", remedy="ask for fewer nodes")


def labels(owner: str, cluster: str) -> dict[str, str]:
    """By which everything of a cluster is found again."""
    return {OWNER: owner, CLUSTER: cluster}


def filters(owner: str, cluster: str | None) -> dict[str, list[str]]:
    """How the engine is asked for what has these labels; of all clusters without a name."""
    return {"label": [f"{OWNER}={owner}", CLUSTER if cluster is None else f"{CLUSTER}={cluster}"]}


def find_network(api: APIClient, owner: str, cluster: str, taken: Iterable[str]) -> Network | None:
    """The cluster's network, if it has one; `taken` are the addresses of its nodes."""
    with asking(f"list the networks of {cluster}"):
        found = api.networks(filters=filters(owner, cluster))
    for network in found:
        pools = [pool for pool in network["IPAM"]["Config"] or () if pool.get("Gateway")]
        if pools:
            return Network(network["Name"], pools[0]["Subnet"], pools[0]["Gateway"], set(taken))
    return None


def make_network(api: APIClient, name: str, owner: str, cluster: str) -> Network:
    """A bridge network for a cluster. Only one whose subnet was named lets a container keep its address.

    Raises:
        ProviderError: the engine has no addresses left, or refuses.
    """
    from docker.errors import APIError
    from docker.types import IPAMConfig, IPAMPool

    own = labels(owner, cluster)
    for attempt in range(1, _TRIES + 1):
        with asking(f"make a network for {cluster}", remedy=_REMEDY):
            # Docker knows which addresses are free here: it chooses them, and is then told its own choice.
            probe = api.create_network(f"{name}-probe", driver="bridge", labels=own)["Id"]
            try:
                pool = api.inspect_network(probe)["IPAM"]["Config"][0]
            finally:
                api.remove_network(probe)
            # It may name its own address with the length of the prefix.
            gateway = str(pool.get("Gateway", "")).partition("/")[0]
            gateway = gateway or str(next(ipaddress.ip_network(pool["Subnet"]).hosts()))
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=pool["Subnet"], gateway=gateway)])
            try:
                api.create_network(name, driver="bridge", ipam=ipam, labels=own, check_duplicate=True)
            except APIError as exc:
                if attempt == _TRIES or "overlap" not in said(exc):
                    raise
                continue  # somebody else was given it in between
        return Network(name, pool["Subnet"], gateway, set())
    raise AssertionError("the last try returns or raises")


def ensure_volume(api: APIClient, name: str, own: dict[str, str]) -> bool:
    """Have a volume of this name; whether it is new. One that is there is taken as it is."""
    from docker.errors import APIError

    with asking(f"make the volume {name}"):
        try:
            api.inspect_volume(name)
        except APIError as exc:
            if not is_missing(exc):
                raise
            api.create_volume(name, labels=own)
            return True
    return False


def kept_labels(name: str) -> dict[str, str]:
    """Of a volume that outlives clusters: no cluster's end finds it."""
    return {KEPT: name}


def remove_networks(api: APIClient, owner: str, cluster: str) -> list[str]:
    """Remove the networks of a cluster; returns what could not be, and why."""
    with asking(f"list the networks of {cluster}"):
        found = api.networks(filters=filters(owner, cluster))
    return [trouble for network in found for trouble in _remove(api.remove_network, network["Id"], network["Name"])]


def remove_home(api: APIClient, owner: str, cluster: str) -> list[str]:
    """Remove the volume that was the home of a cluster; returns what could not be, and why."""
    with asking(f"list the volumes of {cluster}"):
        found = api.volumes(filters=filters(owner, cluster))["Volumes"] or []
    return [trouble for volume in found for trouble in remove_volume(api, volume["Name"])]


def remove_volume(api: APIClient, name: str) -> list[str]:
    """Remove one volume; returns why it could not be, if it could not."""
    return _remove(api.remove_volume, name, name)


def _remove(act: Callable[[str], None], key: str, name: str) -> list[str]:
    from docker.errors import APIError

    with asking(f"remove {name}"):
        try:
            act(key)
        except APIError as exc:
            if not is_missing(exc):
                return [f"{name}: {said(exc)}"]
    return []
