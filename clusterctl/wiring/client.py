"""A client of a cluster's engines, in this Python."""

from __future__ import annotations

import json
import platform
import warnings
from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.journal import ClusterFolder
from clusterctl.notes import PYTHON
from clusterctl.tunnel import process, publish
from clusterctl.wiring.client_watch import ClientWatch
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.local_paths import home_folder

if TYPE_CHECKING:
    from pathlib import Path

    from ipyparallel import Client


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


def connect_client(name: str | None, **client_options: object) -> Client:
    """See `clusterctl.connect`."""
    import ipyparallel

    path = client_file(name)
    trouble = warn_of_other_python(path.parent.name)
    if trouble:
        warnings.warn(trouble, stacklevel=3)
    try:
        client = ipyparallel.Client(str(path), **client_options)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        if _is_whole(path):
            raise  # an option of the caller's
        raise StateError(
            f"the connection file {path} is damaged",
            remedy=f"`clusterctl start {path.parent.name}` writes it anew",
        ) from exc
    except (TimeoutError, OSError, ipyparallel.error.TimeoutError) as exc:
        raise StateError(
            f"the controller of {path.parent.name} does not answer: {exc}",
            remedy=f"see `clusterctl status {path.parent.name}`; `clusterctl start {path.parent.name}` repairs it",
        ) from exc
    ClientWatch(client, path.parent.name).begin()
    return client


def _is_whole(path: Path) -> bool:
    """Return whether a connection file has what a client needs."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"interface", "key", "registration"} <= content.keys()
