"""Whether the services of a node work: their probes, the watch that restarts what fails, and what both say."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.node import ending, services, watch
from clusterctl.node.programs import run_program
from clusterctl.service import ServiceHealth

if TYPE_CHECKING:
    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.node.ending import Ending

SCRIPT = "services: probe"
"""The name of the script."""
_ASK = "clusterctl.on_node.system.ask_services"
_WAIT_S = 60.0


@dataclass(frozen=True)
class NodeHealth:
    """What the probes of a node's services found."""

    services: tuple[ServiceHealth, ...]
    manager: str = ""
    """What is wrong with the service manager; empty where it answers."""
    watched: bool = False
    """Whether the node's watch runs."""
    ending: Ending | None = None
    """When the cluster ends, as its master says; None where it does not end by itself."""


def ask(cluster: Cluster, node: Node) -> NodeHealth:
    """Run the probes of all services of a node. One remote command.

    Raises:
        RemoteError: the node does not answer.
    """
    result = cluster.on(node).run_script(script(node), name=SCRIPT, timeout_s=_WAIT_S, sudo=True, reads=True)
    return parse(result.stdout)


def script(node: Node) -> str:
    """Return a script that runs the probes of all services of a node. `parse` reads its output."""
    ask = run_program(node.layout.env / "bin" / "python", _ASK, watch.program_values(node))
    probes = shlex.quote(str(watch.probes_folder(node)))
    none, silent = (json.dumps({"manager": trouble, "services": []}) for trouble in ("", "does not run"))
    return (
        f"set -- {probes}/*.json\n"
        f"if [ ! -e \"$1\" ]; then\n    echo '{none}'\n"
        f"elif ! {{ {services.manager_runs(node)}; }}; then\n    echo '{silent}'\n"
        f"else\n{ask}fi\n"
    )


def parse(output: str) -> NodeHealth:
    """Parse the output of `script`. It is a node's word: what is not as agreed is trouble."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError):
        said = json.loads(output.splitlines()[-1])
        instances = tuple(_parse_service(entry) for entry in said["services"])
        ends = ending.parse(said.get("ending"))
        return NodeHealth(instances, str(said["manager"]), bool(said.get("watched")), ends)
    return NodeHealth((), "gave an answer that cannot be read")


def _parse_service(said: dict[str, Any]) -> ServiceHealth:
    restarts = said.get("restarts") or {}
    return ServiceHealth(
        str(said["service"]),
        int(said["number"]),
        str(said["trouble"]),
        dict(said["facts"]),
        int(restarts.get("count", 0)),
        str(restarts.get("why", "")),
    )
