"""Connections to a node's SSH server: direct, through a jump host, or through a program on the laptop."""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.errors import RefusedError, RemoteError
from clusterctl.identity import endpoints, known_hosts
from clusterctl.model import Facet
from clusterctl.remote import proxy_command
from clusterctl.remote.auth import Credentials
from clusterctl.remote.port_waiter import PortWaiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.identity.endpoints import Endpoint
    from clusterctl.model import Node

CONNECT_TIMEOUT_S = 10.0
"""Timeout of each step of a login, once the other side answers."""
REACH_TIMEOUT_S = 2.5
"""Timeout of a connection attempt. Short, because the caller tries again and other nodes need the thread."""
KEEPALIVE_S = 15


class Gateways:
    """Connections to jump hosts: one for each host, however many nodes are behind it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._channels: list[Any] = []
        self._recent_failures: dict[str, tuple[Deadline, RemoteError]] = {}
        self._port_waiter = PortWaiter(REACH_TIMEOUT_S)

    def when_reachable(self, node: Node, then: Callable[[], None]) -> None:
        """Call `then` once the SSH server answers. Nodes behind a program or a jump host: call it at once."""
        if node.access.command or node.access.gateway:
            then()
        else:
            self._port_waiter.when_reachable(node.alias, node.address, node.port, then)

    def open_socket(self, node: Node, log_in: Callable[[Node], Any], *, as_gateway: bool = False) -> Any:
        """Open a connection to a node's SSH server as its `access` says: a socket, or an object like one.

        Args:
            node: the node.
            log_in: returns the SSH client of a member that is the gateway, logged in.
            as_gateway: it is the way to another node. A wait for its own port goes on.

        Raises:
            RefusedError: waiting will not help.
            RemoteError: the server does not answer, or not yet.
        """
        if node.access.command:
            return proxy_command.start_proxy(node)
        if node.access.gateway:
            return self._open_channel(node, log_in)
        return self._open_direct(node, as_gateway=as_gateway)

    def _open_direct(self, node: Node, *, as_gateway: bool) -> socket.socket:
        """Connect directly. A connection that the port waiter has made already is used, by who waited for it."""
        answer = None if as_gateway else self._port_waiter.take_answer(node.alias)
        if isinstance(answer, OSError):
            raise unreachable_error(node, answer) from answer
        try:
            return _disable_nagle(answer) if answer else _connect_socket(node.address, node.port)
        except OSError as exc:
            raise unreachable_error(node, exc) from exc

    def _open_channel(self, node: Node, log_in: Callable[[Node], Any]) -> Any:
        """Open a channel through the node's gateway."""
        import paramiko

        try:
            channel = self._gateway_transport(node, log_in).open_channel(
                "direct-tcpip", (node.address, node.port), ("127.0.0.1", 0), timeout=REACH_TIMEOUT_S
            )
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise unreachable_error(node, exc) from exc
        with self._lock:
            self._channels.append(channel)
        return channel

    def release_node(self, node: Node) -> None:
        """Stop waiting for this node, and log out of the gateways if no channel through them is open."""
        self._port_waiter.forget_port(node.alias)
        with self._lock:
            self._channels = [channel for channel in self._channels if not channel.closed]
            clients = [] if self._channels else list(self._clients.values())
            if clients:
                self._clients.clear()
        for client in clients:
            client.close()

    def _gateway_transport(self, node: Node, log_in: Callable[[Node], Any]) -> Any:
        """Return the transport of the node's gateway, logged in. A recent failure is raised again at once."""
        member = None if node.access.jump else node.access.through
        jump = f"{member.alias} {member.id}" if member else node.access.jump
        with self._lock:
            known = self._clients.get(jump)
            if known is not None and known.get_transport() and known.get_transport().is_active():
                return known.get_transport()
            until, error = self._recent_failures.get(jump, (None, None))
            if error and until and not until.is_over:
                # Otherwise all nodes would wait one after the other.
                raise RemoteError(error.message, remedy=error.remedy, node=node.alias)
            try:
                self._clients[jump] = _log_in_to_member(node, member, log_in) if member else _log_in_to_gateway(node)
            except RefusedError:
                raise
            except RemoteError as exc:
                self._recent_failures[jump] = (Deadline.after(REACH_TIMEOUT_S), exc)
                raise
            return self._clients[jump].get_transport()


def _log_in_to_member(node: Node, member: Node, log_in: Callable[[Node], Any]) -> Any:
    """Return the SSH client of a member that is the gateway. Its error becomes that of the node behind it."""
    try:
        return log_in(member)
    except RemoteError as exc:
        raise type(exc)(f"{node.alias}: {exc.message}", remedy=exc.remedy, node=node.alias) from exc


def _log_in_to_gateway(node: Node) -> Any:
    import paramiko

    gateway = _parse_gateway(node)
    where = endpoints.format_endpoint(gateway.host, gateway.port)
    trusted = known_hosts.KnownHosts().find_key(gateway.host, gateway.port).key
    if not trusted:
        raise RefusedError(
            f"{node.alias}: the host key of the gateway {where} is not in your known_hosts",
            remedy=f"log in there once and compare the key: ssh -p {gateway.port} {gateway.user}@{gateway.host}",
            node=node.alias,
        )
    kind, body = trusted.split()
    client = paramiko.SSHClient()
    name = endpoints.known_hosts_name(gateway.host, gateway.port)
    client.get_host_keys().add(name, kind, paramiko.PKey.from_type_string(kind, base64.b64decode(body)))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    credentials = Credentials(node, gateway.user, node.access.key, offer_others=True, server=f"the gateway {where}")
    with ExitStack() as undo:
        undo.callback(client.close)
        try:
            sock = _connect_socket(gateway.host, gateway.port)
            undo.callback(sock.close)
            client.connect(
                gateway.host, gateway.port, gateway.user, sock=sock, auth_strategy=credentials, **login_timeouts()
            )
            client.get_transport().set_keepalive(KEEPALIVE_S)
        except paramiko.BadHostKeyException as exc:
            raise RefusedError(
                f"{node.alias}: the gateway {where} shows another host key than your known_hosts has",
                remedy=f"somebody may be in between; if it was installed anew: ssh-keygen -R '{name}'",
                node=node.alias,
            ) from exc
        except paramiko.AuthenticationException as exc:
            raise credentials.login_error(final=True) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise RemoteError(
                f"{node.alias}: the gateway {where} does not answer: {str(exc) or type(exc).__name__}",
                remedy="check PROXY_JUMP, and that you can reach it",
                node=node.alias,
            ) from exc
        undo.pop_all()
    return client


def _parse_gateway(node: Node) -> Endpoint:
    try:
        return endpoints.parse_endpoint(node.access.jump, user=known_hosts.default_login_name())
    except ValueError as exc:
        raise RefusedError(f"{node.alias}: PROXY_JUMP: {exc}", remedy="correct PROXY_JUMP", node=node.alias) from exc


def _connect_socket(host: str, port: int) -> socket.socket:
    return _disable_nagle(socket.create_connection((host, port), REACH_TIMEOUT_S))


def _disable_nagle(sock: socket.socket) -> socket.socket:
    """Send small packets of a socket at once: a login on loopback is 30 times as fast. Return the socket."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def login_timeouts(node: Node | None = None) -> dict[str, float]:
    """Return paramiko's timeouts for the steps of a login. A proxy program gets more time, as it must start first."""
    steps = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), CONNECT_TIMEOUT_S)
    return steps | ({"banner_timeout": proxy_command.TIMEOUT_S} if node and node.access.command else {})


def unreachable_error(node: Node, exc: Exception, sock: Any = None) -> RemoteError:
    """Return the error for a node that cannot be reached, or not yet.

    Args:
        node: the node whose SSH server did not answer properly.
        exc: the error that happened.
        sock: the connection to the node, if there was one.
    """
    if isinstance(sock, proxy_command.ProxyCommand):
        return proxy_command.proxy_error(node, sock, exc)
    through = f" through {node.access.gateway}" if node.access.gateway else ""
    if Facet.LASTING in node.facets:
        remedy = "check that it is on, that its SSH server runs, and that its address and port are right"
    else:
        remedy = f"see `clusterctl status {node.cluster}`; `clusterctl start {node.cluster}` brings lost nodes back"
    where = f"{endpoints.format_endpoint(node.address, node.port)}{through}"
    return RemoteError(
        f"{node.alias} does not answer on {where}: {str(exc) or type(exc).__name__}",
        remedy=remedy,
        node=node.alias,
    )
