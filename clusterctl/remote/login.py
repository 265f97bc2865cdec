"""Logging in to a node: only if it shows the host key that was pinned."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.identity.endpoints import known_as, written
from clusterctl.model import Facet
from clusterctl.remote.auth import Credentials
from clusterctl.remote.gateways import CONNECT_TIMEOUT_S, KEEPALIVE_S, silent, timeouts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clusterctl.model import Node
    from clusterctl.remote.gateways import Gateways

_SILENCE = logging.NullHandler()


def log_in(node: Node, *, key: Path, known_hosts: Path, gateways: Gateways) -> Any:
    """A connection of fabric's to a node.

    Args:
        node: whose `access` says how, and whose host key is in `known_hosts`.
        key: the cluster's own private key.
        known_hosts: the file of pinned host keys.
        gateways: connections to the hosts that nodes are reached through.

    Raises:
        RefusedError: waiting will not help.
        RemoteError: it does not answer, or not yet as it should.
    """
    import paramiko

    # A machine that boots may accept and hang up: paramiko would print a traceback of what we tell in one line.
    logging.getLogger("paramiko").addHandler(_SILENCE)
    pinned = _pinned(node, known_hosts)
    # Of several keys of one kind paramiko looks at one only: the last that it is given.
    try:
        return _open(node, key, gateways, trusted=pinned[::-1])
    except paramiko.BadHostKeyException as exc:
        shown = exc.key
        if shown not in pinned:
            raise _other_key(node, known_hosts) from exc
    # This is a node on its way to a key of its own.
    try:
        return _open(node, key, gateways, trusted=[shown])
    except paramiko.BadHostKeyException as exc:
        raise _other_key(node, known_hosts) from exc


def _open(node: Node, key: Path, gateways: Gateways, *, trusted: Sequence[Any]) -> Any:
    import paramiko
    from fabric import Config, Connection

    way = gateways.way(node)
    offered = Credentials(node, node.user, node.access.key or str(key), others=node.access.agent)
    connection = Connection(
        node.address,
        user=node.user,
        port=node.port,
        config=Config(overrides={"load_ssh_configs": False}, lazy=True),
        connect_timeout=CONNECT_TIMEOUT_S,
        connect_kwargs={"auth_strategy": offered, "sock": way, **timeouts(node)},
    )
    with ExitStack() as undo:
        undo.callback(way.close)
        undo.callback(connection.close)
        try:
            # fabric would accept any key that it has never seen; we know the key before first contact.
            connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            name, hosts = known_as(node.address, node.port), connection.client.get_host_keys()
            for host_key in trusted:
                hosts.add(name, host_key.get_name(), host_key)
            connection.open()
            connection.transport.set_keepalive(KEEPALIVE_S)
        except paramiko.BadHostKeyException:
            raise
        except paramiko.AuthenticationException as exc:
            raise offered.refusal(final=Facet.LASTING in node.facets) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise silent(node, exc, way) from exc
        undo.pop_all()
    return connection


def _pinned(node: Node, known_hosts: Path) -> list[Any]:
    """The keys that a node may show. The file has those of all nodes, which would be much to load for each of them."""
    from paramiko.hostkeys import HostKeyEntry

    name = known_as(node.address, node.port)
    lines = known_hosts.read_text(encoding="utf-8").splitlines() if known_hosts.exists() else []
    entries = [HostKeyEntry.from_line(line) for line in lines if line.startswith(f"{name} ")]
    return [entry.key for entry in entries if entry]


def _other_key(node: Node, known_hosts: Path) -> RemoteError:
    message = f"{node.alias} ({written(node.address, node.port)}) shows another host key than the one that was pinned"
    if Facet.LASTING in node.facets:
        # It was there before us, so this is not a machine that is still on its way to its own key.
        remedy = "somebody may be in between; if it was installed anew, correct your known_hosts, or its HOST_KEY"
        return RefusedError(message, remedy=remedy, node=node.alias)
    remedy = f"somebody may be in between; if it was replaced, remove its line from {known_hosts}"
    return RemoteError(message, remedy=remedy, node=node.alias)
