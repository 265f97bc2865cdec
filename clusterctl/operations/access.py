"""Getting onto nodes: commands on many, files, logs."""

from __future__ import annotations

import shlex
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.model import Access, Facet, NodeState
from clusterctl.remote.base import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clusterctl.cluster import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import Parts

_MAX_THREADS = 32


def reach(parts: Parts, alias: str, *, user: str | None = None) -> tuple[Cluster, Node]:
    """A cluster and one of its nodes, to talk to. Close the cluster afterwards.

    Args:
        parts: of the run.
        alias: or just the number of a worker.
        user: to log in as, where not as the provider says. The cluster user lets the cluster's own key in.
    """
    nodes = parts.provider.nodes(parts.name)
    cluster = parts.cluster(nodes)
    node = cluster.node(alias)
    if node.state != NodeState.RUNNING:
        raise UsageError(
            f"{node.alias} of {parts.name} is {node.state.value}",
            remedy=f"`clusterctl start {parts.name}` brings it up",
        )
    if user and user != node.user:
        # What lets the provider's user in (a key, an agent) need not let in the one whom we made.
        access = Access(jump=node.access.jump) if user == cluster.user else node.access
        node = replace(node, user=user, access=access)
        cluster.admit([node])
    return cluster, node


def execute(
    parts: Parts, command: str, aliases: Sequence[str], on_result: Callable[[str, Result], None]
) -> dict[str, int]:
    """Run a command on nodes side by side; `on_result` is called as each ends. Returns exit statuses by alias.

    A node that cannot be reached has status 255, as ssh says, and the reason on stderr.
    """
    nodes = parts.provider.nodes(parts.name)
    cluster = parts.cluster(nodes)
    chosen = [cluster.node(alias) for alias in aliases] or list(nodes)

    def run(node: Node) -> int:
        try:
            result = cluster.on(node).run(command, check=False)
        except ClusterctlError as exc:
            result = Result(255, "", f"{exc.message}\n")
        on_result(node.alias, result)
        return result.status

    try:
        with ThreadPoolExecutor(min(len(chosen), _MAX_THREADS) or 1) as pool:
            return dict(zip([node.alias for node in chosen], pool.map(run, chosen), strict=True))
    finally:
        cluster.close()


def service_logs(parts: Parts, alias: str, *, lines: int, show: Callable[[str], None]) -> None:
    """Show the last lines of every service's log on a node."""
    cluster, node = reach(parts, alias)
    try:
        folder = shlex.quote(str(node.layout.logs))
        command = f'cd {folder} && for log in *.log; do echo "==> $log"; tail -n {lines} "$log"; done'
        show(cluster.on(node).run(command, sudo=True).stdout.rstrip())
    finally:
        cluster.close()


def put(parts: Parts, alias: str, sources: Sequence[Path], target: str, *, user: str | None = None) -> int:
    """Copy files and folders to a node; returns how many files.

    Args:
        parts: of the run.
        alias: the node.
        sources: on this computer.
        target: over there; a relative path begins at the cluster user's home.
        user: whose files they are to be; by default the cluster user's, where nodes are machines.
    """
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise UsageError(f"no such file: {', '.join(missing)}", remedy="check the paths on this computer")
    cluster, node = reach(parts, alias, user=user or _owner(parts))
    try:
        remote = cluster.on(node)
        goal = _absolute(node, target)
        into = target.endswith("/") or len(sources) > 1 or remote.is_folder(goal)
        count = 0
        for source in sources:
            for local, end in _below(source, goal / source.name if into else goal):
                remote.put(local, end)
                count += 1
        return count
    finally:
        cluster.close()


def get(parts: Parts, alias: str, sources: Sequence[str], target: Path, *, user: str | None = None) -> int:
    """Copy files and folders from a node; returns how many files.

    Args:
        parts: of the run.
        alias: the node.
        sources: over there; relative paths begin at the cluster user's home, wildcards are the node's.
        target: on this computer.
        user: who reads them; by default the cluster user, where nodes are machines.
    """
    cluster, node = reach(parts, alias, user=user or _owner(parts))
    try:
        remote = cluster.on(node)
        found = [path for source in sources for path in remote.find(_absolute(node, source))]
        if not found:
            raise UsageError(
                f"{node.alias} has no {', '.join(sources)}",
                remedy=f"`clusterctl sshnode {parts.name} {node.alias} ls`",
            )
        into = target.is_dir() or len(found) > 1
        if into:
            target.mkdir(parents=True, exist_ok=True)
        count = 0
        for source in found:
            for path, relative, mode in remote.walk(source):
                local = (target / source.name if into else target) / relative
                if stat.S_ISDIR(mode):
                    local.mkdir(parents=True, exist_ok=True)
                else:
                    local.parent.mkdir(parents=True, exist_ok=True)
                    remote.get(path, local)
                    count += 1
        return count
    finally:
        cluster.close()


def _owner(parts: Parts) -> str | None:
    """Whose the files on a node are, if that is not who logs in there."""
    return parts.machines.user if Facet.MACHINE in parts.provider.facets else None


def _absolute(node: Node, path: str) -> PurePosixPath:
    """A path there: relative ones, and those with ``~/``, start at the cluster user's home."""
    return node.layout.home / path.removeprefix("~/").rstrip("/") if path != "/" else PurePosixPath("/")


def _below(source: Path, goal: PurePosixPath) -> Iterator[tuple[Path, PurePosixPath]]:
    """Every file at or below `source`, with the place it goes to."""
    if not source.is_dir():
        yield source, goal
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield path, goal / path.relative_to(source).as_posix()
