"""A connected client, and a pool of a cluster's engines. To load this loads ipyparallel."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import ipyparallel

from clusterctl.compute.client import Client
from clusterctl.compute.pool import Options, Pool
from clusterctl.compute.watch import ClientWatch
from clusterctl.errors import StateError
from clusterctl.wiring.client import client_file, warn_of_other_python

if TYPE_CHECKING:
    from pathlib import Path


def make_pool(options: Options, name: str | None, client: ipyparallel.Client | None) -> Pool:
    """See `clusterctl.Pool`."""
    return Pool(options, client=client or connect_client(name), closes_client=client is None)


def connect_client(name: str | None, **client_options: object) -> Client:
    """See `clusterctl.connect`."""
    path = client_file(name)
    trouble = warn_of_other_python(path.parent.name)
    if trouble:
        warnings.warn(trouble, stacklevel=3)
    try:
        client = Client(str(path), **client_options)
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
