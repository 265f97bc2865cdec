"""Nodes that answer join at once, however many others are still silent.

python tests/benchmarks/silent.py [0 100 300 1000]

Three local nodes answer. The others are machines that boot: at an address of this computer whose queue is full, so that
nothing comes back, as before a machine has its network; or where nobody listens, as before it has its SSH server.
Printed is when the three had joined, and the processor time that 30 s of waiting took, that included.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import machine

from clusterctl.config import loading
from clusterctl.events import SILENT
from clusterctl.journal import ClusterFolder
from clusterctl.operations.context import RunContext
from clusterctl.operations.joining.join import join_nodes
from clusterctl.operations.plan import make_plan
from clusterctl.plugin import loader
from clusterctl.plugin.host import PluginHost
from clusterctl.providers.local import LocalProvider
from clusterctl.wiring.context import make_connector

_ALIASES = ("master", "node001", "node002")
_WAIT_S = 30.0


def row(others: int, kind: str) -> str:
    """Let three nodes join among so many that do not answer."""
    with tempfile.TemporaryDirectory(prefix="clusterctl-bench-") as home, socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        if kind == "silent":
            full.listen(0)
        port = full.getsockname()[1]
        queue = [socket.socket() for _ in range(3)]
        for each in queue:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        settings = loading.read_config(
            None, overrides={"plugins": ""}, environ={}, find_plugin=loader.find_plugin_class
        )
        folder = ClusterFolder(Path(home), "bench")
        provider = LocalProvider(Path(home) / "local", os.environ)
        parts = RunContext("bench", settings, provider, PluginHost(()), folder, make_connector(folder), SILENT)
        plan = make_plan(parts, _ALIASES)
        try:
            master, *workers = provider.create(plan, public_key=folder.ensure_exists())
            nodes = [
                master,
                *(replace(master, alias=f"other{n}", address="127.0.0.1", port=port) for n in range(others)),
                *workers,
            ]
            for up in (master, *workers):
                with socket.create_connection((up.address, up.port)) as line:
                    line.recv(1)  # its greeting: how long it takes to start is not what is measured
            folder.pin_host_keys(nodes)
            parts = replace(parts, provider=Everybody(provider, nodes))
            cluster = parts.make_cluster(nodes)
            before, began = time.process_time(), time.monotonic()
            outcome = join_nodes(parts, cluster, plan, [node.alias for node in nodes], left_s=_WAIT_S)
            spent = time.process_time() - before
            ended = [step.ended_s for step in outcome.steps if step.node in _ALIASES and not step.error]
            took = f"{max(ended):.2f}" if len(ended) == len(_ALIASES) else f"more than {time.monotonic() - began:.0f}"
            cluster.close()
        finally:
            provider.destroy("bench")
            for each in queue:
                each.close()
    return f"{others:>8} {kind:<10}{took:>14}{spent:>16.1f}"


class Everybody:
    """A provider that says that all nodes exist."""

    def __init__(self, provider: LocalProvider, nodes: list) -> None:
        self.facets = provider.facets
        self._nodes = nodes

    def nodes(self, cluster: str | None = None) -> list:
        """All, whoever asks."""
        return self._nodes


def main() -> None:
    """Print a row for each number of silent nodes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    print(f"{machine()}, at most {most} open files")
    print(f"{'others':>8}{'':11}{'joined at s':>14}{'processor s':>16}")
    for others in [int(word) for word in sys.argv[1:]] or [0, 100, 300, 1000]:
        for kind in ("silent", "refusing"):
            print(row(others, kind), flush=True)


if __name__ == "__main__":
    main()
