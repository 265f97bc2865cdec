"""The `static` provider takes listed hosts and frees them. It never logs in to a host and never powers one off."""

from __future__ import annotations

import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.model import MASTER, Facet, Node, NodeState, Plan, Problem
from clusterctl.providers.base import machine_layout
from clusterctl.providers.outliving import KeptHome
from clusterctl.providers.static.hosts import Host, examine_hosts, find_duplicates
from clusterctl.providers.static.records import Member, Record, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clusterctl.events import Reporter
    from clusterctl.providers.base import Journal


_FACETS = frozenset({Facet.MACHINE, Facet.INIT, Facet.LASTING})
_ANSWER_S = 1.5
_MAX_THREADS = 32


class StaticProvider:
    """Hosts of the config become nodes. Implements `Provider`."""

    name = "static"

    def __init__(
        self,
        root: Path,
        *,
        hosts: Sequence[Host] = (),
        shared_home: bool = False,
        journal: Callable[[str], Journal] | None = None,
    ) -> None:
        """Make a provider.

        Args:
            root: the folder on this computer that keeps the records.
            hosts: the hosts of the config, in the order in which they are taken. Without them a cluster can only
                be listed and ended.
            shared_home: True if the hosts share the users' homes already.
            journal: returns the journal of a cluster; None if its id is not noted with the hosts.
        """
        self._journal = journal
        self.facets = _node_facets(shared_home=shared_home)
        self._records = Records(root)
        self._hosts = tuple(hosts)
        self._shared_home = shared_home

    def check(self, plan: Plan, report: Reporter = SILENT) -> list[Problem]:
        """Return the problems that would stop this plan. Changes nothing."""
        del report
        return self._choose_hosts(plan)[1]

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Take a host for each alias without one. An alias keeps its host, with the config's current values."""
        del public_key, report  # the key is installed at the first login
        with self._records.exclusive_lock():
            members, problems = self._choose_hosts(plan)
            if problems:
                raise ProviderError(
                    "\n".join(problem.message for problem in problems),
                    remedy="; ".join(problem.remedy for problem in problems),
                )
            before = self._records.read_cluster(plan.cluster)
            kept = before.members if before else {}
            own_id = self._journal(plan.cluster).cluster_id if self._journal else ""
            self._records.write_record(Record(plan.cluster, plan.user, self._shared_home, {**kept, **members}, own_id))
        return [node for node in self.nodes(plan.cluster) if node.alias in members]

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """Return the hosts that are taken. A host that accepts no connection counts as stopped."""
        records = self._records.read_known() if cluster is None else [self._records.read_cluster(cluster)]
        unprobed = [_make_node(record, alias) for record in records if record for alias in record.members]
        with ThreadPoolExecutor(min(len(unprobed), _MAX_THREADS) or 1) as pool:
            states = list(pool.map(_probe_state, unprobed))
        nodes = [replace(node, state=state) for node, state in zip(unprobed, states, strict=True)]
        return sorted(nodes, key=lambda node: (node.cluster, not node.is_master, node.alias))

    def adopt(self, cluster: str, user: str, nodes: Sequence[Node]) -> None:
        """Note hosts of the config as a cluster's that has them already: the note of its first computer is lost.

        Args:
            cluster: the name of the cluster.
            user: the cluster user.
            nodes: where its hosts are, by alias.

        Raises:
            ProviderError: the config does not have one of them, or it is noted as another cluster's.
        """
        with self._records.exclusive_lock():
            listed = {host.location: host for host in self._hosts}
            others = [record for record in self._records.read_known() if record.cluster != cluster]
            busy = {m.host.location: record.cluster for record in others for m in record.members.values()}
            hosts = {node.alias: _location(node) for node in nodes}
            wrong = [alias for alias, location in hosts.items() if location not in listed or location in busy]
            if wrong:
                holders = sorted({busy[hosts[alias]] for alias in wrong if hosts[alias] in busy})
                reason = f"belong to {', '.join(holders)}" if holders else "are not in the config"
                raise ProviderError(
                    f"the hosts of {', '.join(wrong)} {reason}",
                    remedy="correct HOSTS, or end the cluster that has them",
                )
            complete, problems = examine_hosts([listed[location] for location in hosts.values()])
            if problems:
                raise ProviderError(
                    "\n".join(problem.message for problem in problems),
                    remedy="; ".join(problem.remedy for problem in problems),
                )
            # Under their ids they are the members that they were, and go on with what they do.
            members = {
                node.alias: Member(host, secrets.token_hex(2), node.id)
                for node, host in zip(nodes, complete, strict=True)
            }
            own_id = next((node.cluster_id for node in nodes), "")
            self._records.write_record(Record(cluster, user, self._shared_home, members, own_id))

    def hosts_of(self, cluster: str) -> list[Host]:
        """Return the hosts that a cluster has taken, as this computer knows them."""
        record = self._records.read_cluster(cluster)
        return [member.host for member in record.members.values()] if record else []

    def most_nodes(self, cluster: str) -> int:
        """Return how many hosts of the config a cluster has, or could have, since no other cluster has them."""
        records = [record for record in self._records.read_all() if record.cluster != cluster]
        busy = {member.host.location for record in records for member in record.members.values()}
        return len({host.name for host in self._hosts if host.location not in busy})

    def find_home(self, cluster: str) -> KeptHome | None:
        """Return the folder with the home on the master, which stays as it is."""
        record = self._records.read_cluster(cluster)
        if not record or MASTER not in record.members:
            return None
        home = machine_layout(record.user).home
        return KeptHome(f"the folder {home} of {record.members[MASTER].host.name} with its home")

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """Free these hosts, or all of the cluster. They keep running, with everything on them."""
        if self._records.read_cluster(cluster) is None:
            return
        with self._records.exclusive_lock():
            record = self._records.read_cluster(cluster)
            if record:
                gone = record.members if aliases is None else aliases
                left = {alias: member for alias, member in record.members.items() if alias not in gone}
                self._records.write_record(replace(record, members=left))

    def _choose_hosts(self, plan: Plan) -> tuple[dict[str, Member], list[Problem]]:
        """Return a host for each alias of the plan, and the problems that would stop the plan."""
        records = {record.cluster: record for record in self._records.read_all()}
        own = records.pop(plan.cluster, None)
        mine = own.members if own else {}
        busy = {m.host.location: record.cluster for record in records.values() for m in record.members.values()}
        problems = [*find_duplicates(self._hosts), *_volume_problems(plan)]
        aliases = sorted((spec.alias for spec in plan.nodes), key=lambda alias: alias != MASTER)
        listed = {host.name: host for host in self._hosts}
        used = {member.host.name for member in mine.values()}
        free = iter([host for host in listed.values() if host.name not in used and host.location not in busy])
        chosen: dict[str, Member] = {}
        for alias in aliases:
            old = mine.get(alias)
            host = listed.get(old.host.name) if old else next(free, None)
            if host:
                same = old is not None and old.host.location == host.location
                chosen[alias] = replace(old, host=host) if old and same else Member(host, secrets.token_hex(2))
            elif old:
                problems.append(_unlisted_problem(plan.cluster, alias, old.host.name))
        problems += _shortage_problems(
            plan, len(chosen) + sum(alias in mine for alias in aliases if alias not in chosen), busy
        )
        complete, wrong = examine_hosts([member.host for member in chosen.values()])
        members = {
            alias: replace(member, host=host) for (alias, member), host in zip(chosen.items(), complete, strict=True)
        }
        return members, problems + wrong


def _shortage_problems(plan: Plan, available: int, busy: dict[tuple[str, int, str], str]) -> list[Problem]:
    if available >= len(plan.nodes):
        return []
    others = f"; others belong to {', '.join(sorted(set(busy.values())))}" if busy else ""
    return [
        Problem(
            f"{plan.cluster} needs {len(plan.nodes)} hosts, and HOSTS has {available} for it{others}",
            "add hosts to HOSTS, ask for fewer nodes, or end the cluster that has the others",
        )
    ]


def _unlisted_problem(cluster: str, alias: str, name: str) -> Problem:
    ends = f"`clusterctl terminate {cluster}`" if alias == MASTER else f"`clusterctl removenode -a {alias} {cluster}`"
    return Problem(
        f"{alias} of {cluster} is on {name}, which HOSTS does not name any more",
        f"put {name} back into HOSTS, or let it leave first: {ends}",
    )


def _volume_problems(plan: Plan) -> list[Problem]:
    return [
        Problem(
            f"volume {volume.name}: VOLUME_ID means nothing to static hosts",
            f"set DEVICE in [volume {volume.name}] to the disk's path on the master, such as /dev/disk/by-id/...",
        )
        for volume in plan.volumes
        if volume.id or not volume.device
    ]


def _node_facets(*, shared_home: bool) -> frozenset[Facet]:
    return _FACETS | {Facet.SHARED_HOME} if shared_home else _FACETS


def _make_node(record: Record, alias: str) -> Node:
    member = record.members[alias]
    host = member.host
    return replace(
        host.as_node(alias, _node_facets(shared_home=record.shared_home)),
        cluster=record.cluster,
        # The same id after a reboot: systemd restarts the services.
        id=member.id or f"{alias}@{host.address}:{host.port}#{member.taken}",
        layout=machine_layout(record.user),
        cluster_id=record.id,
    )


def _location(node: Node) -> tuple[str, int, str]:
    """Return the values that tell a node's host from other hosts, as `Host.location` has them."""
    return node.address.lower(), node.port, node.access.jump


def _probe_state(node: Node) -> NodeState:
    if node.access.jump:
        return NodeState.RUNNING  # only the gateway could tell whether it runs
    with suppress(OSError), socket.create_connection((node.address, node.port), _ANSWER_S):
        return NodeState.RUNNING
    return NodeState.STOPPED
