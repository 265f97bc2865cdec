"""What is said while nodes do not answer for long: what is tried, from where, and who is let in."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.identity.endpoints import format_endpoint
from clusterctl.providers.audits import Guarded
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_NAMED = 3


def describe_silence(context: RunContext, nodes: Sequence[Node], seconds: float) -> str:
    """Return what a user should know of nodes that have not answered for so long.

    Args:
        context: the context of the run.
        nodes: those that have not answered.
        seconds: how long they were asked.
    """
    names = ", ".join(node.alias for node in nodes[:_NAMED]) + (" and others" if len(nodes) > _NAMED else "")
    first = nodes[0]
    text = f"{plural(len(nodes), 'node')} did not answer for {seconds:.0f} s ({names}). Tried is {_way_to(first)}"
    networks = _let_in(context)
    if networks is not None:
        text += f"; its firewall lets in {', '.join(networks) or 'nobody'}"
    return text


def _way_to(node: Node) -> str:
    if node.access.command:
        return f"the program {node.access.command[0]}"
    where = format_endpoint(node.address, node.port)
    if node.access.gateway:
        return f"{where} through {node.access.gateway}"
    source = _source_address(node.address, node.port)
    return f"{where} from {source} (behind a router or a proxy others see another address)" if source else where


def _source_address(address: str, port: int) -> str:
    """Return the address of this computer that a connection to a node comes from. Sends nothing."""
    with suppress(OSError):
        family, kind, protocol, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    return ""


def _let_in(context: RunContext) -> list[str] | None:
    """Return the networks that may reach the nodes by SSH; None where nobody can say."""
    if not isinstance(context.provider, Guarded):
        return None
    with suppress(ClusterctlError):
        return context.provider.list_admitted(context.name)
    return None
