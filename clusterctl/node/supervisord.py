"""The configuration of a service for supervisord."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING

from clusterctl.model import Facet
from clusterctl.node.programs import run_program
from clusterctl.node.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.service import Service

ENSURE = "supervisord_ensure.sh.j2"
CONTROL = "supervisord_control.sh.j2"
LOGIN = "clusterctl"
"""Name and password of supervisord's socket. No secret: the mode of the socket is what keeps others out."""
_UPDATE = "clusterctl.on_node.system.update_supervisord"


def service_definition(node: Node, service: Service) -> str:
    """Return the section of supervisord's config file for a service."""
    # Not by supervisord's `environment` option, which cannot escape characters.
    environment = [f"{key}={value}" for key, value in sorted(service.environment.items())]
    user = service.user if Facet.MACHINE in node.facets else ""
    if user and service.home:
        environment += [f"HOME={service.home}", f"USER={user}", f"LOGNAME={user}"]
    if service.version:
        # supervisord restarts a program only if its section differs, so the version is a part of it.
        environment.append(f"CLUSTERCTL_VERSION={hashlib.sha256(service.version.encode()).hexdigest()[:12]}")
    words = [*(["env", *environment] if environment else ()), *service.command]
    return render(
        "supervisord_program.conf.j2",
        service=service,
        user=user,
        command=_command_line(words).replace("{number}", "%(process_num)d"),
        logs=node.layout.logs,
    )


def ensure_values(node: Node, services: Sequence[Service]) -> dict[str, object]:
    """Return what its script needs besides: the piece that tells a supervisord which runs what has changed."""
    values = {
        "socket": node.layout.run / "s.sock",
        "login": LOGIN,
        "services": [service.name for service in services],
    }
    return {"update": run_program(node.layout.env / "bin" / "python", _UPDATE, values), "login": LOGIN}


def manager_name(name: str) -> str:
    """Return the name of a service, or of one instance, for supervisorctl."""
    return name if ":" in name else f"{name}:*"


def _command_line(words: Sequence[str]) -> str:
    """Return words as one line for supervisord, which cuts comments and fills in ``%(...)s`` before it splits words."""
    line = shlex.join(words)
    if len(line.splitlines()) > 1:
        raise ValueError(f"supervisord cannot start a command with a line end in it: {line}")
    # Only quoted words hold blanks, so these quotes change nothing except that they hide the comment sign.
    return re.sub(r"(\s)([;#])", r"\1''\2", line.replace("%", "%%"))
