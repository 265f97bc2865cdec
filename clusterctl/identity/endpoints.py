"""Where to log in, as people write it: ``user@host:port``."""

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
    """An SSH server, and who logs in there."""

    host: str
    port: int
    user: str


def written(host: str, port: int) -> str:
    """A server as people write it: ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def known_as(host: str, port: int) -> str:
    """What a list of known hosts calls a server: the bare host for the usual port, ``[host]:port`` for others."""
    return host if port == SSH_PORT else f"[{host}]:{port}"


def parse(text: str, *, user: str) -> Endpoint:
    """The endpoint that ``[user@]host[:port]`` means; an IPv6 address is in brackets.

    Args:
        text: as written.
        user: who logs in where the text does not say.

    Raises:
        ValueError: it is none.
    """
    found = _WRITTEN.fullmatch(text.strip())
    port = int(found["port"] or SSH_PORT) if found else 0
    if found is None or not 1 <= port <= 65535:
        raise ValueError(f"expected user@host:port, or a part of it, got {text!r}")
    return Endpoint(found["six"] or found["host"], port, found["user"] or user)
