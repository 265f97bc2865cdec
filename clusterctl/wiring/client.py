"""What a client of a cluster's engines needs to know beforehand."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.journal import ClusterFolder
from clusterctl.notes import PYTHON
from clusterctl.tunnel import process, publish
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.local_paths import home_folder

if TYPE_CHECKING:
    from pathlib import Path


def client_file(name: str | None) -> Path:
    """Return the connection file of a cluster's ipyparallel, with its tunnel up."""
    folder = ClusterFolder(home_folder(), resolve_cluster(name))
    published = publish.read_published(folder)
    path = next((connection.file for connection in published if connection.name == "client" and connection.file), None)
    if path is None or not path.exists():
        remedy = f"`clusterctl start {folder.name}` makes it anew"
        if path is None and folder.joined_members():
            remedy += "; engines are set up where its template's PLUGINS have ipcluster"
        raise StateError(f"{folder.name} has no connection file", remedy=remedy)
    process.reopen_tunnel(folder.path)
    return path


def warn_of_other_python(name: str) -> str:
    """Return a warning if the cluster runs another version of Python than this process; else an empty string."""
    cluster_version = PYTHON.load(ClusterFolder(home_folder(), name).plugin_notes().get(PYTHON.key))
    own_version = ".".join(platform.python_version_tuple()[:2])
    if cluster_version in {None, own_version}:
        return ""
    return (
        f"this is Python {own_version} and {name} runs {cluster_version}: functions that you send will not load there"
    )
