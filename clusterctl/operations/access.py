"""Access to nodes: logins, commands on many nodes, files, logs, the tunnel and the notebook."""

from __future__ import annotations

import shlex
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, StateError, UsageError
from clusterctl.model import Access, Facet, NodeState
from clusterctl.remote.base import Result, join_command
from clusterctl.tunnel import process, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clusterctl.cluster import Cluster
    from clusterctl.journal import ClusterFolder
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.secret import Secret

_MAX_THREADS = 32


def open_node(context: RunContext, alias: str, *, user: str | None = None) -> tuple[Cluster, Node]:
    """Return a cluster and one of its nodes, ready for connections. The caller closes the cluster.

    Args:
        context: the context of the run.
        alias: the alias of the node, or just the number of a worker.
        user: the user to log in as; None for the user that the provider names. The cluster user accepts the cluster's
            own key.
    """
    nodes = context.provider.nodes(context.name)
    cluster = context.make_cluster(nodes)
    node = cluster.node(alias)
    if node.state != NodeState.RUNNING:
        raise UsageError(
            f"{node.alias} of {context.name} is {node.state.value}",
            remedy=f"`clusterctl start {context.name}` brings it up",
        )
    if user and user != node.user:
        # The key or agent that the provider's user accepts may not be accepted by the user that we made.
        access = Access(jump=node.access.jump) if user == cluster.user else node.access
        node = replace(node, user=user, access=access)
        cluster.set_nodes([node])
    return cluster, node


def log_in(
    context: RunContext,
    alias: str,
    words: Sequence[str],
    *,
    user: str | None,
    read_input: Callable[[], str] | None,
    on_line: Callable[[str], None],
) -> Result:
    """Open a shell on a node, or run one command there. Return the result; of a terminal its status alone.

    Args:
        context: the context of the run.
        alias: the alias of the node.
        words: the command and its arguments, a leading ``--`` left out; none for a shell.
        user: the user to log in as; None for the usual one.
        read_input: returns what the command reads; None where the user's terminal is connected to it.
        on_line: called with each line of output; not for a terminal.
    """
    command = _join_words(words)
    cluster, target = open_node(context, alias, user=user)
    try:
        remote = cluster.on(target)
        if not command or read_input is None:
            return Result(remote.shell(command), "", "")
        return remote.run(command, stdin=read_input(), check=False, on_line=on_line)
    finally:
        cluster.close()


def _join_words(words: Sequence[str]) -> str:
    """Return the words of a command as a shell writes it, without a leading ``--``."""
    own = tuple(words[1:] if words[:1] == ("--",) else words)
    return join_command(own) if own else ""


def run_on_nodes(
    context: RunContext, words: Sequence[str], aliases: Sequence[str], on_result: Callable[[str, Result], None]
) -> dict[str, int]:
    """Run a command on nodes in parallel and return the exit statuses by alias. `on_result` is called as each ends.

    A node that cannot be reached gets status 255, as ssh reports it, and the reason on stderr.
    """
    command = _join_words(words)
    nodes = context.provider.nodes(context.name)
    cluster = context.make_cluster(nodes)
    chosen = [cluster.node(alias) for alias in aliases] or list(nodes)

    def run_command(node: Node) -> int:
        try:
            result = cluster.on(node).run(command, check=False)
        except ClusterctlError as exc:
            result = Result(255, "", f"{exc.message}\n")
        on_result(node.alias, result)
        return result.status

    try:
        with ThreadPoolExecutor(min(len(chosen), _MAX_THREADS) or 1) as pool:
            return dict(zip([node.alias for node in chosen], pool.map(run_command, chosen), strict=True))
    finally:
        cluster.close()


def show_service_logs(context: RunContext, alias: str, *, lines: int, show: Callable[[str], None]) -> None:
    """Show the last lines of every service's log on a node."""
    cluster, node = open_node(context, alias)
    try:
        folder = shlex.quote(str(node.layout.logs))
        command = f'cd {folder} && for log in *.log; do echo "==> $log"; tail -n {lines} "$log"; done'
        show(cluster.on(node).run(command, sudo=True).stdout.rstrip())
    finally:
        cluster.close()


def read_command_log(context: RunContext, alias: str, *, lines: int) -> str:
    """Return the last lines of what clusterctl ran on a node, from this computer's files."""
    node = context.make_cluster(context.provider.nodes(context.name)).node(alias)
    log = context.folder.log_file(node.alias)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


@dataclass(frozen=True)
class TunnelState:
    """The tunnel of a cluster."""

    cluster: str
    forwards: tuple[process.Forward, ...]
    """None where the cluster needs no tunnel."""
    up: bool


def renew_tunnel(folder: ClusterFolder, *, close: bool = False) -> TunnelState:
    """Bring the tunnel of a cluster back if it has one and it is down, or close it. Return its state."""
    forwards = tuple(process.read_forwards(folder.path))
    if close:
        process.stop_process(folder.path)
    elif forwards:
        process.reopen_tunnel(folder.path)
    return TunnelState(folder.name, forwards, process.is_up(folder.path))


def open_notebook(folder: ClusterFolder) -> Secret:
    """Return the URL of the cluster's notebook, with the tunnel to it up. Raise an error if there is none."""
    url = next((c.url for c in publish.read_published(folder) if c.name == "notebook"), None)
    if url is None:
        raise StateError(
            f"{folder.name} has no notebook",
            remedy=f"`clusterctl start --set ipcluster.enable_notebook=yes {folder.name}` adds one,"
            " or set ENABLE_NOTEBOOK = True in [plugin ipcluster]",
        )
    process.reopen_tunnel(folder.path)
    return url


def copy_to_node(
    context: RunContext, alias: str, sources: Sequence[Path], target: str, *, user: str | None = None
) -> int:
    """Copy files and folders to a node. Return the number of files.

    Args:
        context: the context of the run.
        alias: the alias of the node.
        sources: paths on this computer.
        target: path on the node; a relative path starts at the cluster user's home.
        user: the owner of the copies; default: the cluster user, where nodes are machines.
    """
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise UsageError(f"no such file: {', '.join(missing)}", remedy="check the paths on this computer")
    cluster, node = open_node(context, alias, user=user or _file_owner(context))
    try:
        remote = cluster.on(node)
        goal = _absolute_path(node, target)
        into_folder = target.endswith("/") or len(sources) > 1 or remote.is_folder(goal)
        count = 0
        for source in sources:
            for local, destination in _list_files(source, goal / source.name if into_folder else goal):
                remote.put(local, destination)
                count += 1
        return count
    finally:
        cluster.close()


def copy_from_node(
    context: RunContext, alias: str, sources: Sequence[str], target: Path, *, user: str | None = None
) -> int:
    """Copy files and folders from a node. Return the number of files.

    Args:
        context: the context of the run.
        alias: the alias of the node.
        sources: paths on the node; relative paths start at the cluster user's home, the node expands wildcards.
        target: path on this computer.
        user: the user that reads the files; default: the cluster user, where nodes are machines.
    """
    cluster, node = open_node(context, alias, user=user or _file_owner(context))
    try:
        remote = cluster.on(node)
        paths = [path for source in sources for path in remote.find(_absolute_path(node, source))]
        if not paths:
            raise UsageError(
                f"{node.alias} has no {', '.join(sources)}",
                remedy=f"`clusterctl sshnode {context.name} {node.alias} ls`",
            )
        into_folder = target.is_dir() or len(paths) > 1
        if into_folder:
            target.mkdir(parents=True, exist_ok=True)
        count = 0
        for source in paths:
            for path, relative, mode in remote.walk(source):
                local = (target / source.name if into_folder else target) / relative
                if stat.S_ISDIR(mode):
                    local.mkdir(parents=True, exist_ok=True)
                else:
                    local.parent.mkdir(parents=True, exist_ok=True)
                    remote.get(path, local)
                    count += 1
        return count
    finally:
        cluster.close()


def _file_owner(context: RunContext) -> str | None:
    """Return the user that owns files on a node; None where that is the user who logs in."""
    return context.machines.user if Facet.MACHINE in context.provider.facets else None


def _absolute_path(node: Node, path: str) -> PurePosixPath:
    """Return the absolute path on the node. Relative paths and those with ``~/`` start at the cluster user's home."""
    return node.layout.home / path.removeprefix("~/").rstrip("/") if path != "/" else PurePosixPath("/")


def _list_files(source: Path, goal: PurePosixPath) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield every file at or below `source`, with its path on the node."""
    if not source.is_dir():
        yield source, goal
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield path, goal / path.relative_to(source).as_posix()
