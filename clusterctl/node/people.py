"""Who works on a node besides its engines: somebody who is logged in, a process that computes, or a job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError
from clusterctl.node.programs import run_program
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node

_ASK = "clusterctl.on_node.system.ending.ask_people"
_WAIT_S = 60.0
_LONGEST = 200


def ask_who_works(cluster: Cluster, node: Node) -> str:
    """Return who works on a node now; empty if nobody does. One remote command, which looks for some seconds.

    Raises:
        RemoteError: the node does not answer, or not as agreed.
    """
    script = run_program(node.layout.env / "bin" / "python", _ASK, {"home": node.layout.home})
    result = cluster.on(node).run_script(script, name="ask who works", timeout_s=_WAIT_S, sudo=True, reads=True)
    try:
        work = json.loads(result.stdout.splitlines()[-1])["work"]
        return clean_text("; ".join(map(str, work))[:_LONGEST])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as exc:
        raise RemoteError(
            f"{node.alias}: the question who works there got an answer that cannot be read",
            remedy=f"log in there and see what prints: `clusterctl sshnode {node.cluster} {node.alias} true`",
            node=node.alias,
        ) from exc
