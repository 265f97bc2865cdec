"""The provider of a cluster, and the options that it can use."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from clusterctl.config.cluster_section import USER_NAME
from clusterctl.laptop.user import laptop_user
from clusterctl.options import is_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clusterctl.config.cluster_section import ClusterSection


_OF_EC2 = (
    *("keyname", "node_instance_type", "master_instance_type", "arch", "spot_bid", "market"),
    *("force_spot_master", "fallback_max"),
    *("availability_zone", "zones", "subnet_id", "public_ips", "address", "allow_from", "proxy_jump", "ssm"),
    *("security_groups", "placement_group", "instance_profile", "metadata_for_user", "root_volume_gb"),
    *("master_volume_gb", "root_volume_type", "kms_key", "home_volume_gb"),
    *("idle_action", "max_cost", "tags", "permissions", "userdata_scripts"),
)
_OF_STATIC = ("hosts",)
_OF_SHARING = ("shared_home",)
_OF_IMAGES = ("node_image_id", "master_image_id")
_OF_SIZES = ("vcpus", "memory_gb")
_OF_MACHINES = ("cluster_user", "cluster_shell", "dns_prefix", "volumes")
_IDLE: Mapping[str, tuple[str, ...]] = {
    "local": (*_OF_MACHINES, *_OF_EC2, *_OF_STATIC, *_OF_SHARING, *_OF_IMAGES, *_OF_SIZES),
    "docker": (*_OF_EC2, *_OF_STATIC, *_OF_SHARING),
    "static": (*_OF_EC2, *_OF_IMAGES, *_OF_SIZES),
    "ec2": _OF_STATIC,
}


def options_without_effect(cluster: ClusterSection, given: Iterable[str]) -> list[str]:
    """Return the given options that have no effect with this cluster's provider."""
    return [key for key in _IDLE[cluster.provider_name] if key in given]


def providers_of(key: str) -> tuple[str, ...]:
    """Return the providers with which a cluster option has an effect; empty for all providers."""
    names = tuple(name for name, idle in _IDLE.items() if key not in idle)
    return () if len(names) == len(_IDLE) else names


def check_provider_options(cluster: ClusterSection) -> Iterator[tuple[str, str]]:
    """Yield options that do not fit this cluster's provider, each with the problem."""
    provider = cluster.provider_name
    if cluster.cluster_user == "root" and not (provider == "local" and laptop_user() == "root"):
        yield "cluster_user", "work does not run as root; name another user"
    elif not re.fullmatch(USER_NAME, cluster.cluster_user):
        yield "cluster_user", "your name here cannot be a user's name there; name another one"
    if provider == "static" and not cluster.hosts:
        yield "provider", "static needs HOSTS: the machines to use, the master first"
    if provider == "static" and cluster.hosts and cluster.cluster_size > len(cluster.hosts):
        yield "cluster_size", f"there are {len(cluster.hosts)} HOSTS"
    for file in cluster.files:
        if not os.path.lexists(file.local):
            yield "files", f"there is no {file.local} on this computer"
    if provider == "ec2":
        if cluster.public_ips == "master" and cluster.address in {"public", "ipv6"}:
            yield "address", "with PUBLIC_IPS = master workers are reached through the master; leave ADDRESS out"
        for script in cluster.userdata_scripts:
            if not is_file(script):
                yield "userdata_scripts", f"{script} is not a file"
