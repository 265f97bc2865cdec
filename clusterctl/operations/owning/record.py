"""The record of a cluster on its master: what another laptop needs to take the cluster over. It holds no secret."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import asdict, dataclass, field
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Any

from clusterctl import planning
from clusterctl.errors import ClusterctlError, NewerFormatError, StateError, UsageError
from clusterctl.files import read_own
from clusterctl.formats import Format
from clusterctl.identity import endpoints
from clusterctl.identity.keys import extract_public_key
from clusterctl.journal import describe_overrides, parse_overrides
from clusterctl.journal.ids import is_id
from clusterctl.model import Facet, NodeOverrides
from clusterctl.node.render import render
from clusterctl.notes import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import PurePosixPath
    from typing import TypeVar

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

    T = TypeVar("T")

_FORMAT = Format("the record on the master", 1)
_MOST_BYTES = 1_000_000
_MOST_TEXT = 4096
_ID = re.compile(r"[A-Za-z0-9@:.#_%-]{1,400}")
_KEPT = Note("master's record", str)
"""The hash of the record that the master has, as far as this computer knows."""


@dataclass(frozen=True)
class RecordedHost:
    """Where a machine is that was there before the cluster. No cloud knows it, and the first laptop may be gone."""

    address: str
    """Where the laptop reached it that started the cluster."""
    port: int
    user: str
    """Who logged in to it."""
    private_address: str
    host_key: str
    id: str
    """Of the node."""


@dataclass(frozen=True)
class MasterRecord:
    """What the master says of its cluster. Another laptop believes of it only what it has checked."""

    id: str
    template: str
    nodes: tuple[str, ...]
    """Aliases that the cluster should have had when the master joined."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """A copy of the config."""
    locks: Mapping[str, str] = field(default_factory=dict)
    """The text of each lock of packages, by the name of its file."""
    special: Mapping[str, NodeOverrides] = field(default_factory=dict)
    """What was asked for single nodes, by alias."""
    hosts: Mapping[str, RecordedHost] = field(default_factory=dict)
    """Where its machines are, by alias, if they were there before the cluster."""


def record_path(master: Node) -> PurePosixPath:
    """Return the path of the record on the master."""
    return master.layout.state / "cluster.json"


def make_record(context: RunContext, wanted: Sequence[str], nodes: Sequence[Node]) -> str:
    """Return the record as text, once the plugins have prepared.

    Args:
        context: the context of the run.
        wanted: aliases of the nodes that there shall be.
        nodes: those that exist.
    """
    lasting = [node for node in nodes if Facet.LASTING in node.facets]
    overrides = context.folder.node_overrides()
    locks = {path.name: read_own(path) for path in sorted(context.folder.path.glob("lock-*.txt"))}
    content = {
        "cluster": context.name,
        "id": context.folder.ensure_id(),
        "provider": context.provider.name,
        "template": context.settings.template,
        "nodes": list(wanted),
        "config": json.loads(context.settings.copy),
        "locks": locks,
        "special": {alias: describe_overrides(own) for alias, own in overrides.items() if alias in wanted},
        "hosts": {
            node.alias: asdict(
                RecordedHost(node.address, node.port, node.user, node.private_address, node.host_key, node.id)
            )
            for node in lasting
        },
    }
    return json.dumps(_FORMAT.stamp(content))


def refresh_record(context: RunContext, cluster: Cluster) -> None:
    """Give the master the present record, where it has another one and no script of its join brought it."""
    digest = hashlib.sha256(cluster.record.encode()).hexdigest()
    known = cluster.recall(_KEPT)
    if known == digest:
        return
    if not cluster.record_brought:
        script = "set -eu\n" + render("record_keep.sh.j2", record=cluster.record, path=record_path(cluster.master))
        try:
            cluster.on(cluster.master).run_script(script, name="record", secret=True, sudo=True)
        except ClusterctlError as exc:  # the cluster works all the same, and the next start tries again
            context.report.warn(f"another laptop could not take {cluster.name} over as it is now: {exc.message}")
            return
    cluster.remember(_KEPT, digest)


def parse_record(text: str, name: str) -> MasterRecord:
    """Return the record that a master has sent.

    Raises:
        StateError: it is no record of this cluster.
    """
    damaged = StateError(
        f"the master of {name} has no record of its cluster that can be read",
        remedy="name the config file that the cluster was started with: `clusterctl -c FILE attach ...`",
    )
    try:
        content = _FORMAT.unstamp(json.loads(text[:_MOST_BYTES]), f"of {name}")
    except NewerFormatError:
        raise
    except (ValueError, RecursionError) as exc:
        raise damaged from exc
    id_, template, nodes = content.get("id"), content.get("template"), content.get("nodes")
    config, locks = content.get("config"), content.get("locks")
    if not (isinstance(id_, str) and is_id(id_) and isinstance(template, str) and template.isprintable()):
        raise damaged
    if content.get("cluster") != name or not isinstance(nodes, list) or not isinstance(config, dict):
        raise damaged
    if not isinstance(locks, dict) or not all(isinstance(text, str) for text in (*locks, *locks.values(), *nodes)):
        raise damaged
    special = _parse_each(content.get("special"), _parse_special)
    hosts = _parse_each(content.get("hosts"), _parse_host)
    return MasterRecord(id_, template, tuple(nodes), config, locks, special, hosts)


def _parse_each(entries: object, parse: Callable[[dict[str, Any]], T]) -> dict[str, T]:
    """Return what is said of each node. What is none is left out: earlier versions have said less."""
    parsed: dict[str, T] = {}
    for alias, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            parsed[planning.check_name(alias)] = parse(entry)
        except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation, UsageError):
            continue
    return parsed


def _parse_special(entry: dict[str, Any]) -> NodeOverrides:
    texts = [str(text) for value in entry.values() for text in (value if isinstance(value, list) else [value])]
    if not all(text.isprintable() and len(text) <= _MOST_TEXT for text in texts):
        raise ValueError("it has what is no text")
    return parse_overrides(entry)


def _parse_host(entry: dict[str, Any]) -> RecordedHost:
    """Return where a host is. Its address, user and key are words of a command line and of files here: none else."""
    if not (isinstance(entry["user"], str) and isinstance(entry["address"], str)):
        raise TypeError("its address and user are texts")
    server = endpoints.format_endpoint(entry["address"], int(entry["port"]))
    end = endpoints.parse_endpoint(f"{entry['user']}@{server}", user="")
    key = " ".join(extract_public_key(entry["host_key"]).split()[:2])
    if not _ID.fullmatch(entry["id"]):
        raise ValueError("its node has no id")
    private = str(ipaddress.IPv4Address(entry["private_address"]))
    return RecordedHost(end.host, end.port, end.user, private, key, entry["id"])
