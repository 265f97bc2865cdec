"""The configuration of a service for systemd: one template unit, with an instance for each number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.node.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.service import Service

ENSURE = "systemd_ensure.sh.j2"
CONTROL = "systemd_control.sh.j2"
PREFIX = "clusterctl-"
"""The prefix of the names of all our units."""


def service_definition(node: Node, service: Service) -> str:
    """Return the unit file ``clusterctl-NAME@.service``."""
    return render(
        "systemd_unit.j2",
        service=service,
        environment=[_quote_word(f"{key}={value}") for key, value in sorted(service.environment.items())],
        # A dollar sign has a meaning only in the command line.
        command=" ".join(_quote_word(word).replace("$", "$$").replace("{number}", "%i") for word in service.command),
        logs=node.layout.logs,
    )


def ensure_values(_node: Node, _services: Sequence[Service]) -> dict[str, object]:
    """Return what the script of ENSURE needs besides: nothing."""
    return {}


def manager_name(name: str) -> str:
    """Return the unit name of a service, or of one instance, for systemctl."""
    service, _, instance = name.partition(":")
    number = instance.rpartition("-")[2] or "*"
    return f"{PREFIX}{service}@{number}.service"


def _quote_word(word: str) -> str:
    """Return a word quoted for systemd: C-like escapes in double quotes, ``%`` doubled."""
    if len(word.splitlines()) > 1:
        raise ValueError(f"systemd cannot be given a line end in a word: {word!r}")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
