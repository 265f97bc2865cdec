"""The providers by their name: those that are asked for nodes, and those that have images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clusterctl.config.ini import mentions_ec2
from clusterctl.errors import UsageError
from clusterctl.formats import read_known
from clusterctl.journal import ClusterFolder
from clusterctl.laptop.places import WITHOUT_LOCAL_NODES
from clusterctl.providers.images import BaseImages, Images
from clusterctl.wiring.local_paths import config_path, docker_owner, home_folder, login_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.config.settings import Settings
    from clusterctl.providers.base import Provider


def _journal_of(cluster: str) -> ClusterFolder:
    return ClusterFolder(home_folder(), cluster)


# Each provider is imported when it is made: a start with one provider does not wait for the libraries of the others,
# and the tunnel of a start loads while this computer waits: `python tests/benchmarks/startup.py` shows what they cost.


def _make_local(_: Settings | None) -> Provider:
    if WITHOUT_LOCAL_NODES:
        raise UsageError(
            WITHOUT_LOCAL_NODES,
            remedy="set PROVIDER to docker, static or ec2 in the config file; or run clusterctl in WSL, which is Linux",
        )
    from clusterctl.providers.local import LocalProvider  # late: see above

    return LocalProvider(home_folder() / "local", os.environ)


def _make_docker(settings: Settings | None) -> Provider:
    from clusterctl.providers.docker import DockerProvider  # late: see above

    prefix = bool(settings and settings.cluster.dns_prefix)
    return DockerProvider(os.environ, owner=docker_owner(), journal=_journal_of, cache=login_name(), dns_prefix=prefix)


def _make_static(settings: Settings | None) -> Provider:
    """Return the static provider with the hosts of the config."""
    from clusterctl.providers.static import StaticProvider, make_host  # late: see above

    root = home_folder() / "static"
    if settings is None:
        return StaticProvider(root)
    hosts = [make_host(name, settings.hosts) for name in settings.cluster.hosts]
    return StaticProvider(root, hosts=hosts, shared_home=settings.cluster.shared_home, journal=_journal_of)


def _make_ec2(settings: Settings | None) -> Provider:
    from clusterctl.wiring import ec2  # late: see above

    return ec2.make_ec2_provider(settings)


_PROVIDERS: Mapping[str, Callable[[Settings | None], Provider]] = {
    "local": _make_local,
    "docker": _make_docker,
    "static": _make_static,
    "ec2": _make_ec2,
}
"""Providers by name. Without settings a provider can still list and end its nodes."""


def make_provider(name: str, settings: Settings | None = None) -> Provider:
    """Return the provider of this name, with the settings of the cluster that it is to create."""
    if name not in _PROVIDERS:
        raise UsageError(
            f"the provider {name} is not in this version of clusterctl",
            remedy=f"set PROVIDER to one of: {', '.join(_PROVIDERS)}; see the docs for what is planned",
        )
    return _PROVIDERS[name](settings)


def usual_provider() -> str:
    """Return the name of a provider that answers on this computer, whatever is installed on it."""
    return "static" if WITHOUT_LOCAL_NODES else "local"


def queried_providers() -> dict[str, Callable[[Settings | None], Provider]]:
    """Return the providers that are asked for nodes, by name.

    EC2 is among them only where the user uses it, and `local` where this computer can have such nodes.
    """
    left_out = {"local"} if WITHOUT_LOCAL_NODES else set()
    if not _uses_ec2():
        left_out.add("ec2")
    return {name: make for name, make in _PROVIDERS.items() if name not in left_out}


def used_providers() -> set[str | None]:
    """Return the providers that clusters of this laptop were last made by."""
    folders = home_folder() / "clusters"
    names = [folder.name for folder in folders.iterdir()] if folders.is_dir() else []
    return set(read_known(lambda name: ClusterFolder(home_folder(), name).last_provider(), names))


def _uses_ec2() -> bool:
    """Return whether the default config file or a cluster of this laptop uses EC2."""
    if "ec2" in used_providers():
        return True
    path = config_path(None)
    if path is None:
        return False
    return mentions_ec2(path)


def image_providers() -> dict[str, Images]:
    """Return the providers whose nodes start from images, by name."""
    return {name: made for name, make in queried_providers().items() if isinstance(made := make(None), Images)}


def base_image_provider() -> BaseImages:
    """Return the provider whose base image is built on this computer."""
    return next(made for make in queried_providers().values() if isinstance(made := make(None), BaseImages))
