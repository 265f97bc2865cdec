"""What a client of a cluster's engines needs to know beforehand."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from clusterctl.errors import StateError
from clusterctl.files import expand_user
from clusterctl.formats import read_known
from clusterctl.journal import ClusterFolder
from clusterctl.notes import ENGINE_IDS, IPYPARALLEL, PYTHON
from clusterctl.tunnel import process, publish
from clusterctl.wiring.clusters import own_folders, resolve_cluster
from clusterctl.wiring.local_paths import home_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def client_file(name: str | None) -> Path:
    """Return the connection file of a cluster's ipyparallel, with its tunnel up.

    Without a name, of the only cluster that is up. Where only one has such a file, no provider is asked: one that is
    stopped or ended has none, and an account or an engine far away takes longer to answer than all else.
    """
    files = [file for file in read_known(_find_file, own_folders()) if file] if name is None else []
    folder = ClusterFolder(home_folder(), files[0].parent.name if len(files) == 1 else resolve_cluster(name))
    path = _find_file(folder)
    if path is None or not path.exists():
        remedy = f"`clusterctl start {folder.name}` makes it anew"
        if path is None and folder.joined_members() and ENGINE_IDS.key not in folder.plugin_notes():
            remedy = f"its template's PLUGINS have no ipcluster: name it there, then `clusterctl start {folder.name}`"
        raise StateError(f"{folder.name} has no connection file", remedy=remedy)
    process.reopen_tunnel(folder.path)
    return path


def _find_file(folder: ClusterFolder) -> Path | None:
    return next((one.file for one in publish.read_published(folder) if one.name == "client" and one.file), None)


def dask_document(name: str) -> Mapping[str, Any] | None:
    """Return where the scheduler of a cluster's Dask is, with its certificates; None if it has none."""
    folder = ClusterFolder(home_folder(), name)
    endpoint = next((one for one in publish.read_published(folder) if one.name == "dask" and one.file), None)
    content = folder.read_json(endpoint.file.name) if endpoint and endpoint.file else None
    if not isinstance(content, dict):
        return None
    process.reopen_tunnel(folder.path)
    return content


def warn_of_other_python(name: str) -> str:
    """Return a warning if the cluster runs another version of Python than this process; else an empty string."""
    cluster_version = PYTHON.load(ClusterFolder(home_folder(), name).plugin_notes().get(PYTHON.key))
    own_version = ".".join(platform.python_version_tuple()[:2])
    if cluster_version in {None, own_version}:
        return ""
    return (
        f"this is Python {own_version} and {name} runs {cluster_version}: functions that you send will not load there"
    )


def cluster_of_file(file: Path) -> str | None:
    """Return the cluster whose connection file this is; None if it is of none here."""
    place = expand_user(file).absolute()
    folder = ClusterFolder(home_folder(), place.parent.name)
    return folder.name if place == folder.path / place.name and folder.exists else None


def engines_of(name: str) -> Mapping[str, range]:
    """Return the ids of the engines that were set up, by node."""
    folder = ClusterFolder(home_folder(), name)
    entries = ENGINE_IDS.load(folder.plugin_notes().get(ENGINE_IDS.key)) or {}
    return {alias: range(first, first + count) for alias, (first, count) in entries.items()}


def refuse_other_ipyparallel(name: str) -> None:
    """Raise an error if the cluster runs another major version of ipyparallel: the two do not understand each other."""
    cluster_version = IPYPARALLEL.load(ClusterFolder(home_folder(), name).plugin_notes().get(IPYPARALLEL.key))
    own_version = version("ipyparallel")
    if cluster_version is None or _major(cluster_version) == _major(own_version):
        return
    raise StateError(
        f"this Python has ipyparallel {own_version} and {name} runs {cluster_version}: the two cannot talk",
        remedy=f"install `ipyparallel=={cluster_version}` here, or `clusterctl start {name}` from this Python, which"
        " brings its version there and starts the engines anew",
    )


def _major(release: str) -> str:
    return release.partition(".")[0]
