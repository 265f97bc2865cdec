"""A service as supervisord is told of it."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING

from clusterctl.model import Facet
from clusterctl.node.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node, Service

ENSURE = "supervisord_ensure.sh.j2"
CONTROL = "supervisord_control.sh.j2"


def definition(node: Node, service: Service) -> str:
    """The section of its config file."""
    # Not as supervisord's own `environment`, in which nothing can be escaped.
    environment = [f"{key}={value}" for key, value in sorted(service.environment.items())]
    user = service.user if Facet.MACHINE in node.facets else ""
    if user and service.home:
        environment += [f"HOME={service.home}", f"USER={user}", f"LOGNAME={user}"]
    if service.version:
        # supervisord restarts what it starts differently than before, and looks at nothing else.
        environment.append(f"CLUSTERCTL_VERSION={hashlib.sha256(service.version.encode()).hexdigest()[:12]}")
    words = [*(["env", *environment] if environment else ()), *service.command]
    return render(
        "supervisord_program.conf.j2",
        service=service,
        user=user,
        command=_one_line(words).replace("{number}", "%(process_num)d"),
        logs=node.layout.logs,
    )


def address(name: str) -> str:
    """A service, or one instance of it, as supervisorctl is told of it."""
    return name if ":" in name else f"{name}:*"


def _one_line(words: Sequence[str]) -> str:
    """Words as supervisord reads them: it splits like a shell, after it has cut comments and filled in ``%(...)s``."""
    line = shlex.join(words)
    if len(line.splitlines()) > 1:
        raise ValueError(f"supervisord cannot start a command with a line end in it: {line}")
    # Only quoted words have a blank in them, so the quotes in between change nothing but hide the comment's sign.
    return re.sub(r"(\s)([;#])", r"\1''\2", line.replace("%", "%%"))
