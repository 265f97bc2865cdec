"""A service as systemd is told of it: one template unit, an instance for each number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.node.render import render

if TYPE_CHECKING:
    from clusterctl.model import Node, Service

ENSURE = "systemd_ensure.sh.j2"
CONTROL = "systemd_control.sh.j2"
PREFIX = "clusterctl-"
"""What the names of all our units begin with."""


def definition(node: Node, service: Service) -> str:
    """The unit file of ``clusterctl-NAME@.service``."""
    return render(
        "systemd_unit.j2",
        service=service,
        environment=[_quoted(f"{key}={value}") for key, value in sorted(service.environment.items())],
        # Only here does a dollar sign stand for something.
        command=" ".join(_quoted(word).replace("$", "$$").replace("{number}", "%i") for word in service.command),
        logs=node.layout.logs,
    )


def address(name: str) -> str:
    """A service, or one instance of it, as systemctl is told of it."""
    service, _, instance = name.partition(":")
    number = instance.rpartition("-")[2] or "*"
    return f"{PREFIX}{service}@{number}.service"


def _quoted(word: str) -> str:
    """A word as systemd reads it: C-like escapes in double quotes, ``%`` doubled."""
    if len(word.splitlines()) > 1:
        raise ValueError(f"systemd cannot be given a line end in a word: {word!r}")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
