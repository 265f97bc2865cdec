"""The host key that an SSH server shows now. Nothing proves that it is the right one: somebody must compare it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from clusterctl.model import Node

_ANSWER_S = 20.0


def fetch_host_key(node: Node) -> str:
    """Return the host key that a node shows, as ``ssh-ed25519 AAAA``.

    Raises:
        RemoteError: it does not answer.
        UsageError: it is behind a gateway or a program.
    """
    if node.access.gateway or node.access.command:
        raise UsageError(
            f"{node.alias} of {node.cluster} is not reached straight from here, so its host key cannot be compared",
            remedy="attach the cluster on a computer that reaches it straight",
        )
    try:
        return asyncio.run(asyncio.wait_for(_fetch(node.address, node.port), _ANSWER_S))
    except (OSError, asyncio.TimeoutError, ValueError) as exc:
        raise RemoteError(
            f"{node.alias} of {node.cluster} does not answer on {node.address}:{node.port}: {exc or 'no answer'}",
            remedy="see whether this computer may reach it: `clusterctl allow-me` where the cluster was started",
            node=node.alias,
        ) from exc


async def _fetch(address: str, port: int) -> str:
    import asyncssh  # the import takes 0.2 s, and most commands do not need it

    try:
        key = await asyncssh.get_server_host_key(address, port, server_host_key_algs=["ssh-ed25519"])
    except asyncssh.Error as exc:
        raise ValueError(str(exc)) from exc
    if key is None:
        raise ValueError("it shows no host key")
    return " ".join(key.export_public_key().decode().split()[:2])
