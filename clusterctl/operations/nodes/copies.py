"""Copies of files and folders to and from nodes, side by side."""

from __future__ import annotations

import glob
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.node import copying
from clusterctl.operations.nodes.access import MAX_THREADS
from clusterctl.operations.sending.places import absolute_path, choose_node, file_owner, names_a_folder
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.events import Reporter
    from clusterctl.node.copying import Copied, Totals
    from clusterctl.operations.context import RunContext
    from clusterctl.remote.base import Remote

ALL = "all"
"""In place of the aliases of nodes: every node."""
_WORTH_A_BAR = 8_000_000
"""Bytes from which on a copy shows how far it is."""


def copy_to_nodes(
    context: RunContext, aliases: Sequence[str], sources: Sequence[Path], target: str, *, user: str | None = None
) -> dict[str, Copied]:
    """Copy files and folders to nodes, side by side. Return what was copied to each.

    Args:
        context: the context of the run.
        aliases: the nodes, or `ALL`.
        sources: paths on this computer.
        target: path on the nodes; a relative path starts at the cluster user's home.
        user: the owner of the copies; default: the cluster user, where nodes are machines.
    """
    missing = [str(source) for source in sources if not os.path.lexists(source)]
    if missing:
        raise UsageError(f"no such file: {', '.join(missing)}", remedy="check the paths on this computer")
    into = len(sources) > 1 or names_a_folder(target)

    def copy(remote: Remote, on_progress: copying.OnProgress) -> Copied:
        goal = copying.Target(absolute_path(remote.node, target), into)
        return copying.copy_to_node(remote, sources, goal, on_progress)

    return _copy_on_nodes(context, aliases, "Copying to", copy, user=user)


def copy_from_nodes(
    context: RunContext, aliases: Sequence[str], sources: Sequence[str], target: str, *, user: str | None = None
) -> dict[str, Copied]:
    """Copy files and folders from nodes, side by side. Return what was copied from each.

    Args:
        context: the context of the run.
        aliases: the nodes, or `ALL`. What comes from several goes into a folder for each, by its alias.
        sources: paths on the nodes; relative paths start at the cluster user's home, the nodes expand wildcards.
        target: path on this computer, as it was typed: a `Path` would have no slash at its end.
        user: the user that reads the files; default: the cluster user, where nodes are machines.
    """
    several = len(aliases) > 1 or ALL in aliases
    into = several or len(sources) > 1 or any(map(glob.has_magic, sources)) or names_a_folder(target)

    def copy(remote: Remote, on_progress: copying.OnProgress) -> Copied:
        goal = copying.Target(Path(target, remote.node.alias) if several else Path(target), into)
        paths = [absolute_path(remote.node, source) for source in sources]
        return copying.copy_from_node(remote, paths, goal, on_progress)

    return _copy_on_nodes(context, aliases, "Copying from", copy, user=user)


def _copy_on_nodes(
    context: RunContext,
    aliases: Sequence[str],
    doing: str,
    copy: Callable[[Remote, copying.OnProgress], Copied],
    *,
    user: str | None,
) -> dict[str, Copied]:
    """Do one copy for each node. The first error is raised once all have ended."""
    cluster = context.make_cluster(context.provider.nodes(context.name))
    try:
        wanted = [node.alias for node in cluster.nodes] if ALL in aliases else dict.fromkeys(aliases)
        nodes = [choose_node(context, cluster, alias, user=user or file_owner(context)) for alias in wanted]
        where = nodes[0].alias if len(nodes) == 1 else plural(len(nodes), "node")
        progress = _Progress(context.report, f"{doing} {where}")
        with ThreadPoolExecutor(min(len(nodes), MAX_THREADS)) as pool:
            running = [pool.submit(copy, cluster.on(node), progress.of(node.alias)) for node in nodes]
        return {node.alias: done.result() for node, done in zip(nodes, running, strict=True)}
    finally:
        cluster.close()


class _Progress:
    """Reports how much of all copies is done, in a unit that fits. Small ones are done before anybody reads it."""

    def __init__(self, report: Reporter, text: str) -> None:
        self._report = report
        self._text = text
        self._lock = Lock()
        self._parts: dict[str, tuple[int, int]] = {}

    def of(self, alias: str) -> copying.OnProgress:
        """Return what takes the progress of one node."""

        def on_progress(size: int, totals: Totals) -> None:
            with self._lock:
                self._parts[alias] = min(size, totals.size), totals.size
                done, total = (sum(column) for column in zip(*self._parts.values(), strict=True))
                if total >= _WORTH_A_BAR:
                    divisor, unit = (1_000_000_000, "GB") if total >= 100_000_000_000 else (1_000_000, "MB")
                    text = f"{self._text}, {unit}"
                    self._report.progress(text, done=done // divisor, total=total // divisor)

        return on_progress
