"""A named daemon on a node: ensure, restart, stop, status. Under systemd where it runs, else under supervisord.

Each function returns the text of a shell script, so that a plugin does its files and its daemons in one round trip:
`cluster.on(node).run_script(render(...) + services.ensure(node, [...]), sudo=True)`. On a machine they need root.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from clusterctl.model import Facet, ServiceState
from clusterctl.node import supervisord, systemd
from clusterctl.node.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from clusterctl.errors import RemoteError
    from clusterctl.model import Node, Service

REQUIREMENT = "supervisor>=4.2.5"
"""What a node without systemd needs from PyPI."""
_NO_MANAGER = 69  # EX_UNAVAILABLE of sysexits.h


def manager_runs(node: Node) -> str:
    """A shell condition: services may be running. What an earlier boot left behind is not believed."""
    if Facet.INIT in node.facets:
        return f"systemctl --quiet is-active '{systemd.PREFIX}*'"
    run = shlex.quote(str(node.layout.run))
    return f'[ -S {run}/s.sock ] && kill -0 "$(cat {run}/supervisord.pid)" 2>/dev/null'


def ensure(node: Node, services: Sequence[Service]) -> str:
    """A script that makes these services run as described; restarts only those whose description changed."""
    manager = _manager(node)
    return render(
        manager.ENSURE,
        node=node,
        layout=node.layout,
        folder=node.layout.state / "services",
        manager_runs=manager_runs(node),
        services=services,
        programs={service.name: manager.definition(node, service) for service in services},
    )


def restart(node: Node, names: Sequence[str]) -> str:
    """A script that stops and starts services, or single instances of them (`instance`); it ends once they are up."""
    return _control(node, "restart", names)


def instance(service: str, number: int) -> str:
    """The name of one instance of a service."""
    return f"{service}:{service}-{number}"


def stop(node: Node, names: Sequence[str]) -> str:
    """A script that ends these services and forgets them. Not running is success."""
    return _control(node, "stop", names)


def status(node: Node) -> str:
    """A script that prints the state of every service; read its output with `parse_status`."""
    return _control(node, "status", ())


def parse_status(output: str) -> tuple[ServiceState, ...]:
    """Read what the `status` script printed: lines such as ``engine:engine-3 RUNNING pid 7, uptime 0:00:04``."""
    states = []
    for line in output.splitlines():
        name, state, detail = [*line.split(None, 2), "", "", ""][:3]
        service, _, instance = name.partition(":")
        number = instance.rpartition("-")[2]
        if number.isdecimal():
            states.append(ServiceState(service, int(number), state == "RUNNING", f"{state.lower()} {detail}".strip()))
    return tuple(states)


def is_missing(error: RemoteError) -> bool:
    """Whether the script failed because the node runs no service manager, hence no service."""
    return error.status == _NO_MANAGER


def _manager(node: Node) -> ModuleType:
    return systemd if Facet.INIT in node.facets else supervisord


def _control(node: Node, action: str, names: Sequence[str]) -> str:
    manager = _manager(node)
    return render(
        manager.CONTROL,
        layout=node.layout,
        folder=node.layout.state / "services",
        manager_runs=manager_runs(node),
        action=action,
        names=tuple(names),
        addresses=tuple(manager.address(name) for name in names),
        no_manager=_NO_MANAGER,
    )
