"""A named daemon on a node: ensure, restart, stop, status. Under supervisord, where no systemd runs.

Each function returns the text of a shell script, so that a plugin does its files and its daemons in one round trip:
`cluster.on(node).run_script(render(...) + services.ensure(node, [...]))`.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.render import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

    from clusterctl.errors import RemoteError
    from clusterctl.model import Node

REQUIREMENT = "supervisor>=4.2.5"
"""What a node without systemd needs from PyPI."""


@dataclass(frozen=True)
class Service:
    """A program that is kept running: restarted when it dies, its output in ``LOGS/NAME-N.log``."""

    name: str
    command: Sequence[str]
    """Program and arguments, no shell. ``{number}`` is the number of the instance."""
    directory: PurePosixPath
    count: int = 1
    first: int = 0
    """The number of the first instance."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Visible to everybody who may list processes of this user: no secrets."""
    whole_group: bool = False
    """Stop the children too. Without it they see their parent end, and may still say goodbye."""
    version: str = ""
    """A restart happens when anything above changes, or this."""


@dataclass(frozen=True)
class ServiceState:
    """One instance of a service, as the node's service manager sees it."""

    service: str
    number: int
    running: bool
    detail: str


def manager_runs(node: Node) -> str:
    """A shell condition: services may be running. `layout.run` is empty after a boot, so nothing old is believed."""
    run = shlex.quote(str(node.layout.run))
    return f'[ -S {run}/s.sock ] && kill -0 "$(cat {run}/supervisord.pid)" 2>/dev/null'


def ensure(node: Node, services: Sequence[Service]) -> str:
    """A script that makes these services run as described; restarts only those whose description changed."""
    programs = {service.name: _program(node, service) for service in services}
    return render(
        "services_ensure.sh.j2",
        node=node,
        folder=_folder(node),
        layout=node.layout,
        manager_runs=manager_runs(node),
        programs=programs,
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


_NO_MANAGER = 69  # EX_UNAVAILABLE of sysexits.h


def _folder(node: Node) -> PurePosixPath:
    return node.layout.state / "services"


def _control(node: Node, action: str, names: Sequence[str]) -> str:
    return render(
        "services_control.sh.j2",
        folder=_folder(node),
        layout=node.layout,
        manager_runs=manager_runs(node),
        action=action,
        names=tuple(names),
        no_manager=_NO_MANAGER,
    )


def _program(node: Node, service: Service) -> str:
    # Not as supervisord's own `environment`, in which nothing can be escaped.
    environment = [f"{key}={value}" for key, value in sorted(service.environment.items())]
    if service.version:
        # supervisord restarts what it starts differently than before, and looks at nothing else.
        environment.append(f"CLUSTERCTL_VERSION={hashlib.sha256(service.version.encode()).hexdigest()[:12]}")
    words = [*(["env", *environment] if environment else ()), *service.command]
    return render(
        "services_program.conf.j2",
        service=service,
        command=_one_line(words).replace("{number}", "%(process_num)d"),
        logs=node.layout.logs,
    )


def _one_line(words: Sequence[str]) -> str:
    """Words as supervisord reads them: it splits like a shell, after it has cut comments and filled in ``%(...)s``."""
    line = shlex.join(words)
    if len(line.splitlines()) > 1:
        raise ValueError(f"supervisord cannot start a command with a line end in it: {line}")
    # Only quoted words have a blank in them, so the quotes in between change nothing but hide the comment's sign.
    return re.sub(r"(\s)([;#])", r"\1''\2", line.replace("%", "%%"))
