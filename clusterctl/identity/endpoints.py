"""SSH endpoints, written as ``user@host:port``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WRITTEN = re.compile(
    r"(?:(?P<user>[A-Za-z_][A-Za-z0-9_.-]*)@)?"
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
SSH_PORT = 22


@dataclass(frozen=True)
class Endpoint:
    """An SSH server, and the user who logs in to it."""

    host: str
    port: int
    user: str


def format_endpoint(host: str, port: int) -> str:
    """Return a server as ``host:port``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def known_hosts_name(host: str, port: int) -> str:
    """Return the name of a server in known_hosts files: the host alone for port 22, else ``[host]:port``."""
    return host if port == SSH_PORT else f"[{host}]:{port}"


def parse_endpoint(text: str, *, user: str) -> Endpoint:
    """Return the endpoint of a text ``[user@]host[:port]``, with an IPv6 address in brackets.

    Args:
        text: the text.
        user: the user if the text names none.

    Raises:
        ValueError: the text is not an endpoint.
    """
    match = _WRITTEN.fullmatch(text.strip())
    port = int(match["port"] or SSH_PORT) if match else 0
    if match is None or not 1 <= port <= 65535:
        raise ValueError(f"expected user@host:port, or a part of it, got {text!r}")
    return Endpoint(match["six"] or match["host"], port, match["user"] or user)
