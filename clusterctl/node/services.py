"""Services on a node: ensure, restart, stop, status. Under systemd if it runs there, else under supervisord.

Each function returns the text of a shell script, so that a plugin can set up files and services in one round trip:
`cluster.on(node).run_script(render(...) + services.ensure(node, [...]), sudo=True)`. On a machine they need root.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from clusterctl.model import Facet
from clusterctl.node import supervisord, systemd, watch
from clusterctl.node.render import render
from clusterctl.service import ServiceState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.errors import RemoteError
    from clusterctl.model import Node
    from clusterctl.service import Service

REQUIREMENT = "supervisor>=4.2.5"
"""The package from PyPI that a node without systemd needs."""
_NO_MANAGER = 69  # EX_UNAVAILABLE of sysexits.h


def manager_runs(node: Node) -> str:
    """Return a shell condition that is true if services may be running. Files of an earlier boot are not trusted."""
    if Facet.INIT in node.facets:
        return f"systemctl --quiet is-active '{systemd.PREFIX}*'"
    run = shlex.quote(str(node.layout.run))
    return f'[ -S {run}/s.sock ] && kill -0 "$(cat {run}/supervisord.pid)" 2>/dev/null'


def ensure(node: Node, services: Sequence[Service], *, unwanted: Sequence[str] = ()) -> str:
    """Return a script that makes these services run as described, and watched. It restarts only changed services.

    Args:
        node: the node.
        services: the services.
        unwanted: the names of others that have probes, and are stopped and removed where they were set up.
    """
    manager = _service_manager(node)
    probes = watch.probe_files(services)
    services = [*services, watch.service(node)]
    return "".join(_end_if_known(node, name) for name in unwanted) + render(
        manager.ENSURE,
        node=node,
        layout=node.layout,
        folder=node.layout.state / "services",
        manager_runs=manager_runs(node),
        services=services,
        probes=probes,
        watch=watch.program(node),
        programs={service.name: manager.service_definition(node, service) for service in services},
        **manager.ensure_values(node, services),
    )


def _end_if_known(node: Node, name: str) -> str:
    probe = shlex.quote(str(watch.probes_folder(node) / f"{name}.json"))
    return f"if [ -e {probe} ]; then (\n{stop(node, [name])}\n); fi\n"


def restart(node: Node, names: Sequence[str]) -> str:
    """Return a script that restarts services, or single instances (see `instance`). It ends once they are up."""
    return _control_script(node, "restart", names)


def instance(service: str, number: int) -> str:
    """Return the name of one instance of a service."""
    return f"{service}:{service}-{number}"


def stop(node: Node, names: Sequence[str]) -> str:
    """Return a script that stops and removes these services. A service that does not run is success."""
    return _control_script(node, "stop", names)


def status(node: Node) -> str:
    """Return a script that prints the state of every service. `parse_status` reads its output."""
    return _control_script(node, "status", ())


def parse_status(output: str) -> tuple[ServiceState, ...]:
    """Parse the output of the `status` script: lines such as ``engine:engine-3 RUNNING pid 7, uptime 0:00:04``."""
    states = []
    for line in output.splitlines():
        name, state, detail = [*line.split(None, 2), "", "", ""][:3]
        service, _, instance = name.partition(":")
        number = instance.rpartition("-")[2]
        if number.isdecimal():
            states.append(ServiceState(service, int(number), state == "RUNNING", f"{state.lower()} {detail}".strip()))
    return tuple(states)


def ask_states(cluster: Cluster, node: Node) -> tuple[ServiceState, ...]:
    """Return the state of every service of a node. One remote command.

    Raises:
        RemoteError: the node does not answer, or runs no service.
    """
    result = cluster.on(node).run_script(status(node), name="services: status", sudo=True, reads=True)
    return parse_status(result.stdout)


def is_missing(error: RemoteError) -> bool:
    """Return whether a script failed because the node runs no service manager, and so no service."""
    return error.status == _NO_MANAGER


def _service_manager(node: Node) -> ModuleType:
    return systemd if Facet.INIT in node.facets else supervisord


def _control_script(node: Node, action: str, names: Sequence[str]) -> str:
    manager = _service_manager(node)
    return render(
        manager.CONTROL,
        layout=node.layout,
        folder=node.layout.state / "services",
        manager_runs=manager_runs(node),
        action=action,
        names=tuple(names),
        addresses=tuple(manager.manager_name(name) for name in names),
        no_manager=_NO_MANAGER,
    )
