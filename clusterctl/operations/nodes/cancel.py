"""`cancel`: end what runs and what waits at the engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.errors import UsageError
from clusterctl.model import MASTER
from clusterctl.operations.sending.places import open_node

if TYPE_CHECKING:
    from clusterctl.operations.context import RunContext


def end_work(context: RunContext, *, client: str = "", look: bool = False) -> hub.Cancelled:
    """End what runs and what waits at the engines, or only tell what there is.

    Args:
        context: the context of the run.
        client: the session of the client whose work it is, or how it begins; empty for everybody's.
        look: end nothing.

    Raises:
        ClusterctlError: there is no such client, or the master or its controller does not answer.
    """
    cluster, _ = open_node(context, MASTER)
    try:
        if not client:
            return hub.cancel_work(cluster, look=look)
        present = hub.cancel_work(cluster, look=True)
        sessions = {task.client for task in present.running.values()} | {*present.waiting}
        meant = sorted(session for session in sessions if session.startswith(client))
        if len(meant) != 1:
            several = f"several clients begin with {client}" if meant else f"no client {client} has work"
            raise UsageError(
                f"{several} on {context.name}", remedy=f"`clusterctl cancel {context.name} --list` shows them"
            )
        return hub.cancel_work(cluster, client=meant[0], look=look)
    finally:
        cluster.close()
