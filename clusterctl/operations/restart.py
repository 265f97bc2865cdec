"""`restart`: every node boots anew, and all of them join again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, DeadlineError
from clusterctl.model import NodeState
from clusterctl.operations.leave import stop
from clusterctl.operations.start import start
from clusterctl.providers.base import Rebooting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.operations.context import Parts
    from clusterctl.operations.start import Started

_BOOT = "cat /proc/sys/kernel/random/boot_id"
"""Another word after each boot."""
_EVERY_S = 1.0


def restart(parts: Parts) -> Started:
    """Boot the nodes anew where their provider can, else power them off and on.

    What ends when it is powered off, as a spot instance does, is kept so.

    Raises:
        ClusterctlError: a node did not come back, or the master did not join.
    """
    if not isinstance(parts.provider, Rebooting):
        stop(parts)
        return start(parts)
    with parts.folder.locked():
        running = [node for node in parts.provider.nodes(parts.name) if node.state == NodeState.RUNNING]
        before = _boots(parts, running)
        parts.provider.reboot(parts.name)
        _await_boots(parts, running, before)
    return start(parts)


def _boots(parts: Parts, nodes: Sequence[Node]) -> dict[str, str]:
    """Which boot each node is in; without those that do not answer."""
    found: dict[str, str] = {}
    cluster = parts.cluster(nodes)

    def ask(node: Node) -> None:
        try:
            found[node.alias] = cluster.on(node).run(_BOOT).stdout.strip()
        except ClusterctlError:
            return

    try:
        cluster.each(ask)
    finally:
        cluster.close()
    return found


def _await_boots(parts: Parts, nodes: Sequence[Node], before: dict[str, str]) -> None:
    deadline = time.monotonic() + parts.settings.cluster.start_timeout
    waiting = {node.alias: node for node in nodes}
    while waiting:
        now = _boots(parts, list(waiting.values()))
        waiting = {alias: node for alias, node in waiting.items() if now.get(alias) in {None, before.get(alias)}}
        if waiting and time.monotonic() > deadline:
            raise DeadlineError(
                f"{', '.join(waiting)} of {parts.name} did not come back after the reboot",
                remedy=f"see `clusterctl status {parts.name}`; `clusterctl start {parts.name}` completes it",
            )
        if waiting:
            threading.Event().wait(_EVERY_S)
