"""clusterctl: one INI file and one command start an ipyparallel cluster that is connected to your laptop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipyparallel import Client

__version__ = "0.2.0"
__all__ = ["__version__", "connect"]


def connect(name: str | None = None, **client_options: object) -> Client:
    """Return a connected ``ipyparallel.Client`` for a running cluster.

    If the cluster needs a tunnel and none is up, the tunnel is opened first.

    Args:
        name: the name of the cluster; optional if exactly one is up.
        client_options: passed on to ``ipyparallel.Client``.

    Raises:
        clusterctl.errors.ClusterctlError: the cluster does not exist, does not run, or does not answer.
    """
    from clusterctl.wiring.client import connect_client  # heavy: loaded when a client is asked for

    return connect_client(name, **client_options)
