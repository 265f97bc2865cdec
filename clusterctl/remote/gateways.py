"""The way to a node's SSH server: straight, through a host that stands before it, or by a program on the laptop."""

from __future__ import annotations

import base64
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.identity import endpoints, known_hosts
from clusterctl.model import Facet
from clusterctl.remote import proxy_command
from clusterctl.remote.auth import Credentials
from clusterctl.remote.port_waiter import Doors

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.identity.endpoints import Endpoint
    from clusterctl.model import Node

CONNECT_TIMEOUT_S = 10.0
"""For each step of a login, once the other side is there."""
REACH_TIMEOUT_S = 2.5
"""For finding out that nobody is there: whoever waits for a node tries again, and others want the thread."""
KEEPALIVE_S = 15


class Gateways:
    """Connections to hosts that nodes are reached through: one each, however many nodes are behind it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._channels: list[Any] = []
        self._silent: dict[str, tuple[float, RemoteError]] = {}
        self._doors = Doors(REACH_TIMEOUT_S)

    def knock(self, node: Node, then: Callable[[], None]) -> None:
        """Call `then` once `way` has an answer, where that can be found out without keeping a thread; else at once."""
        if node.access.command or node.access.jump:
            then()
        else:
            self._doors.knock(node.alias, node.address, node.port, then)

    def way(self, node: Node) -> Any:
        """A connection to a node's SSH server, as its access says: a socket, or what paramiko takes for one.

        Raises:
            RefusedError: waiting will not help.
            RemoteError: nobody is there, or not yet.
        """
        if node.access.command:
            return proxy_command.start(node)
        return self._channel(node) if node.access.jump else self._direct(node)

    def _direct(self, node: Node) -> socket.socket:
        """Straight; what has connected already is used."""
        answer = self._doors.take(node.alias)
        if isinstance(answer, OSError):
            raise silent(node, answer) from answer
        try:
            return _quick(answer) if answer else _connected(node.address, node.port)
        except OSError as exc:
            raise silent(node, exc) from exc

    def _channel(self, node: Node) -> Any:
        """Through its gateway."""
        import paramiko

        try:
            channel = self._transport(node).open_channel(
                "direct-tcpip", (node.address, node.port), ("127.0.0.1", 0), timeout=REACH_TIMEOUT_S
            )
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise silent(node, exc) from exc
        with self._lock:
            self._channels.append(channel)
        return channel

    def release(self, node: Node) -> None:
        """Nobody waits for this node any more. Log out of the gateways that nobody is reached through."""
        self._doors.forget(node.alias)
        with self._lock:
            self._channels = [channel for channel in self._channels if not channel.closed]
            clients = [] if self._channels else list(self._clients.values())
            if clients:
                self._clients.clear()
        for client in clients:
            client.close()

    def _transport(self, node: Node) -> Any:
        jump = node.access.jump
        with self._lock:
            known = self._clients.get(jump)
            if known is not None and known.get_transport() and known.get_transport().is_active():
                return known.get_transport()
            since, error = self._silent.get(jump, (0.0, None))
            if error and time.monotonic() - since < REACH_TIMEOUT_S:
                raise RemoteError(error.message, remedy=error.remedy, node=node.alias)  # all would wait in a row
            try:
                self._clients[jump] = _log_in_to_gateway(node)
            except RefusedError:
                raise
            except RemoteError as exc:
                self._silent[jump] = (time.monotonic(), exc)
                raise
            return self._clients[jump].get_transport()


def _log_in_to_gateway(node: Node) -> Any:
    import paramiko

    gateway = _gateway(node)
    where = endpoints.written(gateway.host, gateway.port)
    trusted = known_hosts.KnownHosts().look_up(gateway.host, gateway.port).key
    if not trusted:
        raise RefusedError(
            f"{node.alias}: the host key of the gateway {where} is not in your known_hosts",
            remedy=f"log in there once and compare the key: ssh -p {gateway.port} {gateway.user}@{gateway.host}",
            node=node.alias,
        )
    kind, body = trusted.split()
    client = paramiko.SSHClient()
    name = endpoints.known_as(gateway.host, gateway.port)
    client.get_host_keys().add(name, kind, paramiko.PKey.from_type_string(kind, base64.b64decode(body)))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    offered = Credentials(node, gateway.user, node.access.key, others=True, where=f"the gateway {where}")
    with ExitStack() as undo:
        undo.callback(client.close)
        try:
            sock = _connected(gateway.host, gateway.port)
            undo.callback(sock.close)
            client.connect(gateway.host, gateway.port, gateway.user, sock=sock, auth_strategy=offered, **timeouts())
            client.get_transport().set_keepalive(KEEPALIVE_S)
        except paramiko.BadHostKeyException as exc:
            raise RefusedError(
                f"{node.alias}: the gateway {where} shows another host key than your known_hosts has",
                remedy=f"somebody may be in between; if it was installed anew: ssh-keygen -R '{name}'",
                node=node.alias,
            ) from exc
        except paramiko.AuthenticationException as exc:
            raise offered.refusal(final=True) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise RemoteError(
                f"{node.alias}: the gateway {where} does not answer: {str(exc) or type(exc).__name__}",
                remedy="check PROXY_JUMP, and that you can reach it",
                node=node.alias,
            ) from exc
        undo.pop_all()
    return client


def _gateway(node: Node) -> Endpoint:
    try:
        return endpoints.parse(node.access.jump, user=known_hosts.user_name())
    except ValueError as exc:
        raise RefusedError(f"{node.alias}: PROXY_JUMP: {exc}", remedy="correct PROXY_JUMP", node=node.alias) from exc


def _connected(host: str, port: int) -> socket.socket:
    return _quick(socket.create_connection((host, port), REACH_TIMEOUT_S))


def _quick(sock: socket.socket) -> socket.socket:
    """The same connection, whose small packets go out at once: it makes a login on loopback 30 times as fast."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def timeouts(node: Node | None = None) -> dict[str, float]:
    """How long paramiko may wait for each step of a login; a program that leads to a node takes its time to start."""
    steps = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), CONNECT_TIMEOUT_S)
    return steps | ({"banner_timeout": proxy_command.TIMEOUT_S} if node and node.access.command else {})


def silent(node: Node, exc: Exception, way: Any = None) -> RemoteError:
    """What to tell of a node that cannot be reached, or not yet.

    Args:
        node: whose SSH server did not answer as one.
        exc: what happened instead.
        way: the connection to it, if there was one.
    """
    if isinstance(way, proxy_command.Relay):
        return proxy_command.trouble(node, way, exc)
    through = f" through {node.access.jump}" if node.access.jump else ""
    if Facet.LASTING in node.facets:
        remedy = "check that it is on, that its SSH server runs, and that its address and port are right"
    else:
        remedy = f"see `clusterctl status {node.cluster}`; `clusterctl start {node.cluster}` brings lost nodes back"
    where = f"{endpoints.written(node.address, node.port)}{through}"
    return RemoteError(
        f"{node.alias} does not answer on {where}: {str(exc) or type(exc).__name__}",
        remedy=remedy,
        node=node.alias,
    )
