"""Login to a node, only if it shows the host key that was pinned."""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.files import read_own
from clusterctl.identity.endpoints import format_endpoint, known_hosts_name
from clusterctl.model import Facet
from clusterctl.remote.auth import Credentials
from clusterctl.remote.gateways import CONNECT_TIMEOUT_S, KEEPALIVE_S, login_timeouts, unreachable_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clusterctl.model import Node
    from clusterctl.remote.gateways import Gateways

_NO_OUTPUT = logging.NullHandler()
_HUNG_UP = "No existing session"
"""paramiko's words for a server that showed its key and then ended the connection."""


def log_in(node: Node, *, key: Path, known_hosts: Path, gateways: Gateways, as_gateway: bool = False) -> Any:
    """Return a logged-in fabric connection to a node.

    Args:
        node: the node; its `access` says how to reach it, and its host key is in `known_hosts`.
        key: the cluster's own private key.
        known_hosts: the file of pinned host keys.
        gateways: the connections to jump hosts.
        as_gateway: the login is for another node, which is behind this one.

    Raises:
        RefusedError: waiting will not help.
        RemoteError: the node does not answer, or not properly yet.
    """
    import paramiko

    # A machine that boots may accept and hang up. paramiko would print a traceback; our error is one line.
    logging.getLogger("paramiko").addHandler(_NO_OUTPUT)
    pinned = _read_pinned_keys(node, known_hosts)

    def log_in_to_member(member: Node) -> Any:
        return log_in(member, key=key, known_hosts=known_hosts, gateways=gateways, as_gateway=True).client

    open_socket = partial(gateways.open_socket, node, log_in_to_member, as_gateway=as_gateway)
    # Of several keys of one type paramiko compares only the last that it was given.
    try:
        return _open_connection(node, key, open_socket, trusted=pinned[::-1])
    except paramiko.BadHostKeyException as exc:
        shown = exc.key
        if shown not in pinned:
            raise _wrong_key_error(node, known_hosts) from exc
    # The node is changing from its first host key to a key of its own.
    try:
        return _open_connection(node, key, open_socket, trusted=[shown])
    except paramiko.BadHostKeyException as exc:
        raise _wrong_key_error(node, known_hosts) from exc


def _open_connection(
    node: Node, key: Path, open_socket: Callable[[], Any], *, trusted: Sequence[Any], is_second: bool = False
) -> Any:
    import paramiko
    from fabric import Config, Connection

    sock = open_socket()
    credentials = Credentials(node, node.user, node.access.key or str(key), offer_others=node.access.agent)
    connection = Connection(
        node.address,
        user=node.user,
        port=node.port,
        config=Config(overrides={"load_ssh_configs": False}, lazy=True, ssh_config=_no_ssh_config()),
        connect_timeout=CONNECT_TIMEOUT_S,
        connect_kwargs={"auth_strategy": credentials, "sock": sock, **login_timeouts(node)},
    )
    with ExitStack() as undo:
        undo.callback(sock.close)
        undo.callback(connection.close)
        try:
            # fabric would accept any unknown key; here the key is known before the first connection.
            connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            name, hosts = known_hosts_name(node.address, node.port), connection.client.get_host_keys()
            for host_key in trusted:
                hosts.add(name, host_key.get_name(), host_key)
            connection.open()
            connection.transport.set_keepalive(KEEPALIVE_S)
        except paramiko.BadHostKeyException:
            raise
        except paramiko.AuthenticationException as exc:
            raise credentials.login_error(final=Facet.LASTING in node.facets) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            if _hung_up(exc) and not is_second:  # as a server does that another one takes the place of
                return _open_connection(node, key, open_socket, trusted=trusted, is_second=True)
            raise unreachable_error(node, exc, sock) from exc
        undo.pop_all()
    return connection


def _hung_up(error: Exception) -> bool:
    """Return whether the server ended the connection, before it greeted or after it showed its key."""
    return str(error) == _HUNG_UP or isinstance(error.__context__, EOFError)


def _no_ssh_config() -> Any:
    """Return an ssh config that says nothing. An empty one asks for the name of the user, who may be a number alone."""
    from paramiko import SSHConfig, SSHConfigDict

    class NoConfig(SSHConfig):  # type: ignore[misc]  # without types
        def lookup(self, hostname: str) -> Any:
            return SSHConfigDict(hostname=hostname)

    return NoConfig()


def _read_pinned_keys(node: Node, known_hosts: Path) -> list[Any]:
    """Return the host keys that a node may show. Only its own lines are parsed: the file has those of all nodes."""
    from paramiko import SSHException
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    name = known_hosts_name(node.address, node.port)
    lines = read_own(known_hosts).splitlines()
    keys = []
    for line in lines:
        with suppress(SSHException, InvalidHostKey, ValueError):  # the file may be damaged
            entry = HostKeyEntry.from_line(line) if line.startswith(f"{name} ") else None
            keys += [entry.key] if entry else []
    return keys


def _wrong_key_error(node: Node, known_hosts: Path) -> RemoteError:
    message = (
        f"{node.alias} ({format_endpoint(node.address, node.port)}) shows another host key than the one that was pinned"
    )
    if Facet.LASTING in node.facets:
        # The machine existed before the cluster, so it is not changing to a key of its own.
        remedy = "somebody may be in between; if it was installed anew, correct your known_hosts, or its HOST_KEY"
        return RefusedError(message, remedy=remedy, node=node.alias)
    remedy = f"somebody may be in between; if it was replaced, remove its line from {known_hosts}"
    return RemoteError(message, remedy=remedy, node=node.alias)
