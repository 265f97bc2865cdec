"""Hosts that were there before a cluster: what they say of it themselves, and which node each one is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, StateError, UsageError
from clusterctl.identity.endpoints import format_endpoint
from clusterctl.journal.ids import is_id
from clusterctl.model import MASTER
from clusterctl.operations.owning.record import parse_record, record_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.model import Node
    from clusterctl.operations.owning.record import MasterRecord, RecordedHost
    from clusterctl.remote.base import Remote

_MAX_THREADS = 32


@dataclass(frozen=True)
class HostAnswer:
    """What a host says of the cluster that it belongs to. A host may say anything."""

    node: Node
    """Where it is. Its alias is only a name for messages."""
    cluster: str = ""
    id: str = ""
    record: str = ""
    """The text of the record that a master has."""
    trouble: str = ""
    """Why it could not be asked."""

    def __str__(self) -> str:
        where = format_endpoint(self.node.address, self.node.port)
        said = f"belongs to {self.cluster}, id {self.id}" if self.cluster else "belongs to no cluster"
        return f"{where}: {self.trouble or said}"


def ask_hosts(nodes: Sequence[Node], connector: Callable[[Node], Remote]) -> list[HostAnswer]:
    """Return what these hosts say, in their order. Nothing is changed there."""

    def ask(node: Node) -> HostAnswer:
        remote = connector(node)
        command = f"cat '{node.layout.state}/cluster' 2>/dev/null; echo; cat '{record_path(node)}' 2>/dev/null; :"
        try:
            text = remote.run(command, secret=True, sudo=True).stdout
        except ClusterctlError as exc:
            return HostAnswer(node, trouble=exc.message)
        finally:
            remote.close()
        mark, _, rest = text.partition("\n")
        words = mark.split()
        known = len(words) == 2 and mark.isprintable() and is_id(words[1])
        cluster, id_ = words if known else ("", "")
        return HostAnswer(node, cluster, id_, rest.strip())

    with ThreadPoolExecutor(min(len(nodes), _MAX_THREADS) or 1) as pool:
        return list(pool.map(ask, nodes))


def choose_master(name: str, answers: Sequence[HostAnswer], chosen_id: str = "") -> tuple[HostAnswer, MasterRecord]:
    """Return the master of the cluster that is meant, and its record.

    Raises:
        UsageError: no host belongs to such a cluster, or to several of the name.
        StateError: none of them is its master.
    """
    own = [answer for answer in answers if answer.cluster == name and chosen_id in {"", answer.id}]
    listing = "\n".join(map(str, answers))
    if not own:
        text = f"none of these hosts belongs to a cluster {name}" + (f" with the id {chosen_id}" if chosen_id else "")
        raise UsageError(f"{text}:\n{listing}", remedy="name the host of its master: `clusterctl attach --host HOST`")
    if len({answer.id for answer in own}) > 1:
        raise UsageError(
            f"several clusters are called {name}:\n{listing}", remedy=f"name one: `clusterctl attach --id ID {name}`"
        )
    masters = [answer for answer in own if answer.record]
    if not masters:
        raise StateError(
            f"none of these hosts is the master of {name}, or it has no record:\n{listing}",
            remedy="name the host of the master: `clusterctl attach --host HOST`",
        )
    if len(masters) > 1:
        raise StateError(
            f"several hosts have a record of {name} as its master has one:\n{chr(10).join(map(str, masters))}",
            remedy="remove /var/lib/clusterctl/cluster.json from those that are not its master",
        )
    record = parse_record(masters[0].record, name)
    if record.id != masters[0].id:
        raise StateError(
            f"the master of {name} says that its cluster has the id {record.id}, and that the host has {masters[0].id}",
            remedy="do not trust this master",
        )
    if MASTER not in record.hosts:
        raise StateError(
            f"the record on the master of {name} does not say where its hosts are",
            remedy="whoever has the cluster runs `clusterctl start` once with this version, which writes it",
        )
    return masters[0], record


def match_hosts(
    record: MasterRecord, answers: Sequence[HostAnswer], master: HostAnswer
) -> tuple[dict[str, HostAnswer], dict[str, RecordedHost]]:
    """Return which host is which node of a cluster, and where the nodes are whose hosts were not asked yet."""
    matched: dict[str, HostAnswer] = {MASTER: master}
    for alias, host in record.hosts.items():
        free = [answer for answer in answers if answer not in matched.values()]
        answered = next((answer for answer in free if _is_same(answer.node, host)), None)
        if answered and alias not in matched:
            matched[alias] = answered
    return matched, {alias: host for alias, host in record.hosts.items() if alias not in matched}


def _is_same(node: Node, host: RecordedHost) -> bool:
    """Return whether a host is where the record says, or has the key that it says."""
    key = " ".join(node.host_key.split()[:2])
    return key == host.host_key or (node.address.lower(), node.port) == (host.address.lower(), host.port)
