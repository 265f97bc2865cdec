"""Access to nodes: logins, commands on many nodes, logs, the tunnel and the notebook."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, StateError
from clusterctl.model import Facet, NodeState
from clusterctl.operations.sending.places import open_node
from clusterctl.remote.base import join_command
from clusterctl.tunnel import process, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.journal import ClusterFolder
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.remote.base import RunningCommand
    from clusterctl.secret import Secret

MAX_THREADS = 32
"""The most nodes that are worked on side by side."""
_UNREACHABLE = 255
_LONGEST_LINE = 65536
_LOGS_S = 120.0
"""How long a node may take to show its logs."""


@dataclass(frozen=True)
class OutputLine:
    """A line that a command has printed on a node, with its end; a long one comes in pieces."""

    alias: str
    text: bytes
    is_error: bool


def log_in(
    context: RunContext,
    alias: str,
    words: Sequence[str],
    *,
    user: str | None,
    pass_on: Callable[[RunningCommand], int] | None,
) -> int:
    """Open a shell on a node, or run one command there. Return its exit status.

    Args:
        context: the context of the run.
        alias: the alias of the node.
        words: the command and its arguments, a leading ``--`` left out; none for a shell.
        user: the user to log in as; None for the usual one.
        pass_on: connects this process to a command and returns its status; None for the user's terminal.
    """
    command = _join_words(words)
    cluster, target = open_node(context, alias, user=user)
    try:
        remote = cluster.on(target)
        if not command:
            return remote.shell()
        command = _with_programs(target, command)
        return remote.shell(command) if pass_on is None else pass_on(remote.start_command(command))
    finally:
        cluster.close()


def _join_words(words: Sequence[str]) -> str:
    """Return the words of a command as a shell writes it, without a leading ``--``."""
    own = tuple(words[1:] if words[:1] == ("--",) else words)
    return join_command(own) if own else ""


def _with_programs(node: Node, command: str) -> str:
    """Return a command that finds the cluster's programs first, whoever runs it: what shells read names one user."""
    folders = ":".join(shlex.quote(str(folder)) for folder in node.layout.programs)
    return f'export PATH={folders}:"$PATH"\n{command}'


def run_on_nodes(
    context: RunContext, words: Sequence[str], aliases: Sequence[str], on_line: Callable[[OutputLine], None]
) -> dict[str, int]:
    """Run a command on nodes in parallel and return the exit statuses by alias.

    A node that cannot be reached gets status 255, as ssh reports it, and the reason on stderr.

    Args:
        context: the context of the run.
        words: the command and its arguments, a leading ``--`` left out. It has no input.
        aliases: where to run it; nowhere named is everywhere.
        on_line: called from several threads with each line as it arrives.
    """
    command = _join_words(words)
    nodes = context.provider.nodes(context.name)
    cluster = context.make_cluster(nodes)
    chosen = [cluster.node(alias) for alias in aliases] or list(nodes)

    def run_command(node: Node) -> int:
        try:
            running = cluster.on(node).start_command(f"exec </dev/null\n{_with_programs(node, command)}")
            return _pass_on_lines(running, node.alias, on_line)
        except ClusterctlError as exc:
            on_line(OutputLine(node.alias, f"{exc.message}\n".encode(), is_error=True))
            return _UNREACHABLE

    try:
        with ThreadPoolExecutor(min(len(chosen), MAX_THREADS) or 1) as pool:
            return dict(zip([node.alias for node in chosen], pool.map(run_command, chosen), strict=True))
    finally:
        cluster.close()


def _pass_on_lines(running: RunningCommand, alias: str, on_line: Callable[[OutputLine], None]) -> int:
    """Hand on what a command prints; return its status."""
    try:
        errors = Thread(target=_read_lines, args=(running.read_errors, alias, True, on_line), daemon=True)
        errors.start()
        _read_lines(running.read, alias, False, on_line)  # noqa: FBT003  as the thread has it
        errors.join()
        status = running.wait()
    finally:
        running.close()
    if status < 0:
        on_line(OutputLine(alias, b"the connection was lost\n", is_error=True))
    return status if status >= 0 else _UNREACHABLE


def _read_lines(
    read: Callable[[int], bytes],
    alias: str,
    is_error: bool,  # noqa: FBT001
    on_line: Callable[[OutputLine], None],
) -> None:
    pending = b""
    while chunk := read(_LONGEST_LINE):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            on_line(OutputLine(alias, line + b"\n", is_error))
        if len(pending) >= _LONGEST_LINE:
            on_line(OutputLine(alias, pending, is_error))
            pending = b""
    if pending:
        on_line(OutputLine(alias, pending, is_error))


def show_service_logs(context: RunContext, alias: str, *, lines: int, show: Callable[[str], None]) -> None:
    """Show the last lines of every service's log on a node. A local node that is off has left its logs here."""
    node = context.make_cluster(context.provider.nodes(context.name)).node(alias)
    if node.state != NodeState.RUNNING and Facet.MACHINE not in context.provider.facets:
        for log in sorted(Path(node.layout.logs).glob("*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            show("\n".join([f"==> {log.name}", *text.splitlines()[-lines:]]))
        return
    cluster, node = open_node(context, alias)
    try:
        folder = shlex.quote(str(node.layout.logs))
        command = f'cd {folder} && for log in *.log; do echo "==> $log"; tail -n {lines} "$log"; done'
        show(cluster.on(node).run(command, sudo=True, timeout_s=_LOGS_S).stdout.rstrip())
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
    """None of them where the cluster needs no tunnel."""
    up: bool
    published: tuple[publish.LocalEndpoint, ...]
    """The connections of the cluster, which go through it."""


def renew_tunnel(folder: ClusterFolder, *, close: bool = False) -> TunnelState:
    """Bring the tunnel of a cluster back if it has one and it is down, or close it. Return its state."""
    published = tuple(publish.read_published(folder))
    forwards = tuple(process.read_forwards(folder.path))
    if close:
        process.stop_process(folder.path)
    elif forwards:
        process.reopen_tunnel(folder.path)
    return TunnelState(folder.name, forwards, process.is_up(folder.path), published)


def open_notebook(folder: ClusterFolder) -> Secret:
    """Return the URL of the cluster's notebook, with the tunnel to it up. Raise an error if there is none."""
    published = next((one for one in publish.read_published(folder) if one.name == "notebook"), None)
    url = published.url if published else None
    if published and published.taken:
        raise StateError(
            f"the notebook of {folder.name}: {published.place}; its URL would tell that program the token",
            remedy=f"`clusterctl start {folder.name}` gives it another port and a new token",
        )
    if url is None:
        raise StateError(
            f"{folder.name} has no notebook",
            remedy=f"`clusterctl start --set ipcluster.enable_notebook=yes {folder.name}` adds one,"
            " or set ENABLE_NOTEBOOK = True in [plugin ipcluster]",
        )
    process.reopen_tunnel(folder.path)
    return url
