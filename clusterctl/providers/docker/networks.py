"""The network and the volumes that the containers of a cluster share."""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.providers.docker.engine import error_text, is_missing, translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from docker import APIClient

    from clusterctl.providers.docker.records import Scope

VOLUME_LABEL = "clusterctl.volume"
"""The label of a volume that outlives clusters."""
_TRIES = 5
_REMEDY = "remove networks that nobody uses: `docker network prune`; then start again"


@dataclass
class Network:
    """The network of a cluster, and the addresses in use."""

    name: str
    subnet: str
    gateway: str
    taken: set[str]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def allocate_address(self) -> str:
        """Return the lowest free address. Stopped nodes keep theirs.

        Raises:
            ProviderError: the network is full.
        """
        with self.lock:
            for host in ipaddress.ip_network(self.subnet).hosts():
                if str(host) not in self.taken | {self.gateway}:
                    self.taken.add(str(host))
                    return str(host)
        raise ProviderError(f"the network {self.name} ({self.subnet}) is full", remedy="ask for fewer nodes")


def find_network(api: APIClient, name: str, scope: Scope, taken: Iterable[str]) -> Network | None:
    """Return the cluster's network, or None. `taken` are the addresses of its nodes."""
    for network in _list_networks(api, scope):
        if network["Name"] == _probe_of(name):  # what was killed has left it
            continue
        pools = [pool for pool in network["IPAM"]["Config"] or () if pool.get("Gateway")]
        if pools:
            return Network(network["Name"], pools[0]["Subnet"], pools[0]["Gateway"], set(taken))
    return None


def _probe_of(name: str) -> str:
    return f"{name}-probe"


def _list_networks(api: APIClient, scope: Scope) -> list[dict[str, Any]]:
    with translate_errors(f"list the networks of {scope.cluster}"):
        networks = api.networks(filters=scope.filters)
    return [network for network in networks if scope.owns(network.get("Labels"))]


def make_network(api: APIClient, name: str, scope: Scope) -> Network:
    """Make a bridge network for a cluster. Containers keep their addresses only if the subnet is given explicitly.

    Raises:
        ProviderError: the engine has no addresses left, or refuses.
    """
    from docker.errors import APIError
    from docker.types import IPAMConfig, IPAMPool

    for left in _list_networks(api, scope):
        if left["Name"] == _probe_of(name):
            _remove_resource(api.remove_network, left["Id"], left["Name"])
    for attempt in range(1, _TRIES + 1):
        with translate_errors(f"make a network for {scope.cluster}", remedy=_REMEDY):
            # Docker knows the free addresses here: a probe network shows its choice, which is then given explicitly.
            probe = api.create_network(_probe_of(name), driver="bridge", labels=scope.labels)["Id"]
            try:
                pool = api.inspect_network(probe)["IPAM"]["Config"][0]
            finally:
                api.remove_network(probe)
            # The gateway may be written with the length of the prefix.
            gateway = str(pool.get("Gateway", "")).partition("/")[0]
            gateway = gateway or str(next(ipaddress.ip_network(pool["Subnet"]).hosts()))
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=pool["Subnet"], gateway=gateway)])
            try:
                api.create_network(name, driver="bridge", ipam=ipam, labels=scope.labels, check_duplicate=True)
            except APIError as exc:
                if attempt == _TRIES or "overlap" not in error_text(exc):
                    raise
                continue  # another network got this subnet in between
        return Network(name, pool["Subnet"], gateway, set())
    raise AssertionError("the last try returns or raises")


def ensure_volume(api: APIClient, name: str, own: dict[str, str]) -> bool:
    """Make a volume unless it exists. Return whether it is new. An existing volume is not changed."""
    from docker.errors import APIError

    with translate_errors(f"make the volume {name}"):
        try:
            api.inspect_volume(name)
        except APIError as exc:
            if not is_missing(exc):
                raise
            api.create_volume(name, labels=own)
            return True
    return False


def kept_labels(name: str) -> dict[str, str]:
    """Return the labels of a volume that outlives clusters: the removal of a cluster does not find it."""
    return {VOLUME_LABEL: name}


def remove_networks(api: APIClient, scope: Scope) -> list[str]:
    """Remove the networks of a cluster. Return those that could not be removed, with the reason."""
    return [
        trouble
        for network in _list_networks(api, scope)
        for trouble in _remove_resource(api.remove_network, network["Id"], network["Name"])
    ]


def find_homes(api: APIClient, scope: Scope) -> list[str]:
    """Return the names of the volumes with the home of a cluster: one, once the cluster was made."""
    with translate_errors(f"list the volumes of {scope.cluster}"):
        volumes = api.volumes(filters=scope.filters)["Volumes"] or []
    return [str(volume["Name"]) for volume in volumes if scope.owns(volume.get("Labels"))]


def remove_home(api: APIClient, scope: Scope) -> list[str]:
    """Remove the home volume of a cluster. Return those that could not be removed, with the reason."""
    return [trouble for name in find_homes(api, scope) for trouble in remove_volume(api, name)]


def remove_volume(api: APIClient, name: str) -> list[str]:
    """Remove one volume. Return the reason if it could not be removed."""
    return _remove_resource(api.remove_volume, name, name)


def _remove_resource(act: Callable[[str], None], key: str, name: str) -> list[str]:
    from docker.errors import APIError

    with translate_errors(f"remove {name}"):
        try:
            act(key)
        except APIError as exc:
            if not is_missing(exc):
                return [f"{name}: {error_text(exc)}"]
    return []
