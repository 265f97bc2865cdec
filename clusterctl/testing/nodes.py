"""Nodes without machines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from clusterctl.model import MASTER, Facet, Layout, Node, NodeState


def fake_node(alias: str = MASTER, *, cluster: str = "lab", **changes: Any) -> Node:
    """Return a node that runs; `changes` replaces any of its fields."""
    root = PurePosixPath("/fake") / cluster / alias
    node = Node(
        alias=alias,
        cluster=cluster,
        id=f"{cluster}-{alias}-1",
        machine_id=f"{cluster}-{alias}",
        boot_id="1",
        state=NodeState.RUNNING,
        address="127.0.0.1",
        private_address="127.0.0.1",
        port=22,
        user="me",
        host_key=f"ssh-ed25519 AAAA{alias}",
        layout=Layout(
            env=root / "env",
            state=root / "state",
            logs=root / "logs",
            run=root / "run",
            home=root / "home",
            cache=root / "cache",
        ),
        facets=frozenset({Facet.DIRECT}),
        cores=2,
    )
    return replace(node, **changes)
