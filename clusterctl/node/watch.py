"""The watch of a node, which probes its services and restarts those that fail: a service that comes with all others."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from clusterctl.model import Facet
from clusterctl.node import supervisord
from clusterctl.node.programs import node_program
from clusterctl.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from clusterctl.model import Node

NAME = "watch"
"""The service's name."""
_PROGRAM = "clusterctl.on_node.system.watch_services"


def probes_folder(node: Node) -> PurePosixPath:
    """Return the folder of the probes on a node: a JSON file for each service that has one."""
    return node.layout.state / "services" / "probes"


def terms_file(node: Node) -> PurePosixPath:
    """Return the file on the master that says when the cluster ends."""
    return node.layout.state / "ending" / "terms.json"


def powers_off(node: Node) -> bool:
    """Return whether a node that ends by itself is switched off: only a machine that was made for its cluster is."""
    return node.facets >= {Facet.MACHINE, Facet.INIT} and Facet.LASTING not in node.facets


def stops_itself(node: Node) -> bool:
    """Return whether a node that ends by itself stops, and stays as it is until the next `start`: a container does."""
    return Facet.STOPS_ITSELF in node.facets


def program(node: Node) -> str:
    """Return the text of the watch's program."""
    return node_program(_PROGRAM, program_values(node))


def program_values(node: Node) -> dict[str, object]:
    """Return what the watch, and whoever probes by hand, must know of a node."""
    folder = node.layout.state / "services"
    values: dict[str, object] = {"probes": probes_folder(node), "told": folder / "restarts.json"}
    values["beat"] = folder / "watch.beat"
    values["log"] = node.layout.logs / f"{NAME}-0.log"
    values["ending"] = {
        "master": node.is_master,
        "alias": node.alias,
        "home": node.layout.home,
        "maps": node.layout.state / "ipython" / "maps",
        "powers_off": powers_off(node),
        "stops": stops_itself(node),
        "terms": terms_file(node),
        "decision": terms_file(node).with_name("decision.json"),
    }
    if Facet.INIT in node.facets:
        return values
    python = str(node.layout.env / "bin" / "python")
    start = [python, "-m", "supervisor.supervisord", "-c", str(folder / "supervisord.conf")]
    return {**values, "socket": node.layout.run / "s.sock", "login": supervisord.LOGIN, "start": start}


def service(node: Node) -> Service:
    """Return the watch as a service."""
    folder = node.layout.state / "services"
    command = [str(node.layout.env / "bin" / "python"), "-u", str(folder / "watch.py")]
    version = hashlib.sha256(program(node).encode()).hexdigest()[:12]
    return Service(NAME, command, directory=folder, version=version)


def probe_files(wanted: Sequence[Service]) -> dict[str, str]:
    """Return the files of the services' probes, by the services' names; empty ones for services without."""
    return {wanted_service.name: _describe_probe(wanted_service) for wanted_service in wanted}


def _describe_probe(wanted: Service) -> str:
    if wanted.probe is None:
        return ""
    text = node_program(wanted.probe.module)
    values = json.loads(json.dumps(dict(wanted.probe.values), default=str))
    return json.dumps({"first": wanted.first, "count": wanted.count, "values": values, "program": text})
