"""The last step of a start: connection files on the laptop, and the tunnel that they need."""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.formats import Format
from clusterctl.laptop.ports import is_another_users
from clusterctl.model import Connection, Facet
from clusterctl.secret import Secret
from clusterctl.tunnel import process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from clusterctl.journal import ClusterFolder
    from clusterctl.model import Node

_FILE = "connections.json"
_FORMAT = Format("the list of connections", 1)
_PORTS = range(10000, 32768)


@dataclass(frozen=True)
class LocalEndpoint:
    """The laptop's end of a connection."""

    name: str
    file: Path | None
    url: Secret | None
    summary: str
    usage: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    """The laptop's ports, by the plugin's names for them."""
    taken: bool = False
    """Whether another user's program listens there now: then there is no `url`, since whoever opens it gives away what
    it holds."""

    @property
    def place(self) -> str:
        """Where it is: its URL, its file, or its ports."""
        if self.taken:
            return f"another user's program has its port, {', '.join(map(str, self.ports.values()))}"
        if self.url:
            return self.url.reveal()
        ports = ", ".join(f"{name} at 127.0.0.1:{port}" for name, port in self.ports.items())
        return str(self.file) if self.file else ports


@contextmanager
def prepare_tunnel(
    folder: ClusterFolder, facets: Collection[Facet], *, mode: str
) -> Iterator[process.StandbyProcess | None]:
    """Yield a process that can become the tunnel and ends if it does not; None if no tunnel is needed or one is up.

    Loading its modules takes a third of a second. Beside the joins this costs nothing; after them it would.
    """
    waiting = None if _is_direct(facets, mode) or process.is_up(folder.path) else process.StandbyProcess(folder.path)
    try:
        yield waiting
    finally:
        if waiting:
            waiting.end_unused()


def publish_connections(
    folder: ClusterFolder,
    master: Node,
    connections: Sequence[Connection],
    *,
    mode: str,
    standby: process.StandbyProcess | None = None,
) -> list[LocalEndpoint]:
    """Write the connection files and open the tunnel if one is needed. May run twice.

    Args:
        folder: the folder of the cluster.
        master: the node of the services.
        connections: the connections that the plugins returned.
        mode: ``always`` or ``never`` a tunnel, or ``auto``: where the laptop cannot reach the ports itself.
        standby: the process that `prepare_tunnel` yields.

    Raises:
        ClusterctlError: the tunnel does not come up, or a file cannot be written.
    """
    direct = _is_direct(master.facets, mode)
    # Where the nodes are on this computer a port of theirs is taken here, or will be once its service is up.
    forwards = [] if direct else _choose_forwards(folder, connections, same=Facet.DIRECT not in master.facets)
    if direct:
        process.close_tunnel(folder.path)
    else:
        target = process.Target.for_node(master, folder.private_key_file, folder.known_hosts_file)
        process.open_tunnel(folder.path, target, forwards, standby=standby)
    published = [_publish_one(folder, connection, _local_ports(connection, forwards)) for connection in connections]
    document = _FORMAT.stamp({"connections": [_to_json(connection) for connection in published]})
    folder.write_file(_FILE, json.dumps(document, indent=1))
    return [_without_taken(endpoint) for endpoint in published]


def read_published(folder: ClusterFolder) -> list[LocalEndpoint]:
    """Return the connections that were published last.

    Raises:
        NewerFormatError: a newer version has published them.
    """
    content = folder.read_json(_FILE)
    if isinstance(content, dict):
        try:
            content = _FORMAT.unstamp(content, folder.path / _FILE).get("connections")
        except ValueError:  # damaged: `start` writes it anew
            return []
    entries = content if isinstance(content, list) else []  # format 0 is a list
    parsed = (_parse_entry(folder, entry) for entry in entries)
    return [_without_taken(endpoint) for endpoint in parsed if endpoint]


def _without_taken(endpoint: LocalEndpoint) -> LocalEndpoint:
    """Take its URL from a connection whose port is another user's: a service that is down has lost it, maybe."""
    taken = endpoint.url is not None and any(map(is_another_users, endpoint.ports.values()))
    return replace(endpoint, url=None, taken=True) if taken else endpoint


def _parse_entry(folder: ClusterFolder, entry: object) -> LocalEndpoint | None:
    """Return a published connection; None if this is none: then `start` publishes it anew."""
    if not isinstance(entry, dict):
        return None
    name, file, url, summary = (entry.get(key) for key in ("name", "file", "url", "summary"))
    usage, ports = entry.get("usage", ""), entry.get("ports", {})
    texts = all(isinstance(text, str) for text in (name, file or "", url or "", summary, usage))
    whole = isinstance(ports, dict) and all(isinstance(port, int) for port in ports.values())
    if not texts or not name or not whole or "/" in (file or ""):
        return None
    path = folder.path / file if file else None
    return LocalEndpoint(name, path, Secret(url) if url else None, str(summary), usage, ports)


def withdraw_connections(folder: ClusterFolder) -> None:
    """Remove the connection files and the tunnel, so that no client waits for a cluster that does not run."""
    process.close_tunnel(folder.path)
    for connection in read_published(folder):
        if connection.file:
            _delete(connection.file)
    _delete(folder.path / _FILE)


def _delete(path: Path) -> None:
    """Delete a file. A folder that has taken its name stays: it goes with the cluster's folder."""
    with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        path.unlink()


def _is_direct(facets: Collection[Facet], mode: str) -> bool:
    return mode == "never" or (mode == "auto" and Facet.DIRECT in facets)


def _publish_one(folder: ClusterFolder, connection: Connection, ports: dict[str, int]) -> LocalEndpoint:
    file = None
    if connection.document is not None:
        file = folder.write_file(f"{connection.name}.json", json.dumps({**connection.document, **ports}, indent=1))
    url = Secret(connection.url.reveal().format(**ports)) if connection.url else None
    usage = connection.usage.replace("{file}", repr(str(file)))
    return LocalEndpoint(connection.name, file, url, connection.summary, usage, ports)


def _local_ports(connection: Connection, forwards: Sequence[process.Forward]) -> dict[str, int]:
    by_remote = {(forward.host, forward.port): forward.local_port for forward in forwards}
    return {key: by_remote.get((connection.host, port), port) for key, port in connection.ports.items()}


def _choose_forwards(folder: ClusterFolder, connections: Sequence[Connection], *, same: bool) -> list[process.Forward]:
    """Return a forward for each remote port. It keeps its former local port, so that live clients can reconnect.

    Args:
        folder: the folder of the cluster.
        connections: the connections with the remote ports.
        same: prefer the number of the remote port.
    """
    before = {(forward.host, forward.port): forward.local_port for forward in process.read_forwards(folder.path)}
    local_ports: dict[tuple[str, int], int] = {}
    for remote in dict.fromkeys((c.host, port) for c in connections for port in c.ports.values()):
        local_ports[remote] = before.get(remote) or free_port(remote[1] if same else 0, taken=local_ports.values())
    return [process.Forward(local, *remote) for remote, local in local_ports.items()]


def free_port(preferred: int, *, taken: Collection[int]) -> int:
    """Return the preferred port if it is free, else a free port below the range of outgoing connections.

    With a port of that range, a client that reconnects while the tunnel is down could get the same port for its own
    end, connect to itself, and block the tunnel for ever.
    """
    first = _PORTS[secrets.randbelow(len(_PORTS))]
    for port in chain([preferred], range(first, _PORTS.stop), range(_PORTS.start, first)):
        if not port or port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StateError("no port is free on this computer", remedy="end programs that hold many ports")


def _to_json(connection: LocalEndpoint) -> dict[str, object]:
    return {
        "name": connection.name,
        "file": connection.file.name if connection.file else None,
        "url": connection.url.reveal() if connection.url else None,
        "summary": connection.summary,
        "usage": connection.usage,
        "ports": dict(connection.ports),
    }
