"""clusterctl: one INI file, one command, and an ipyparallel cluster is up and connected to your laptop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipyparallel import Client

__version__ = "0.1.0"
__all__ = ["__version__", "connect"]


def connect(name: str | None = None, **client_options: object) -> Client:
    """Return a connected ``ipyparallel.Client`` for a running cluster.

    Opens the cluster's tunnel first if it needs one and none is up.

    Args:
        name: the cluster; may be left out when exactly one is up.
        client_options: passed on to ``ipyparallel.Client``.

    Raises:
        clusterctl.errors.ClusterctlError: no such cluster, it is not running, or it does not answer.
    """
    from clusterctl.wiring.client import connect_client  # heavy: loaded when a client is asked for

    return connect_client(name, **client_options)
