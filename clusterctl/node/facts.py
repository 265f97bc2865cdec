"""What a machine is, asked of itself at the first login. One remote command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError
from clusterctl.model import Facet
from clusterctl.node.render import render

if TYPE_CHECKING:
    from clusterctl.model import Node
    from clusterctl.remote.base import Remote


_KEY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Facts:
    """What a machine says of itself."""

    cores: int
    host_key: str = ""
    """The key of its own, as ``ssh-ed25519 AAAA...``; only of one that was born with a throw-away key."""


def learn(remote: Remote, node: Node) -> Facts:
    """What the node says of itself. One that was born with a throw-away host key has made one of its own then.

    Raises:
        RemoteError: it is not what its provider promised, such as a host without systemd, or the login may not
            become root.
    """
    # Without a comment, as the node compares it with the one that it has.
    born_with = " ".join(node.host_key.split()[:2]) if node.bootstrap_key else ""
    said = remote.run_script(render("facts.sh.j2", born_with=born_with), name="facts", sudo=True).stdout
    facts = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    if facts.get("id") != "0":
        raise RemoteError(
            f"{node.alias}: {node.user} is not root there",
            remedy="log in as root, or as a user with sudo",
            node=node.alias,
        )
    if Facet.INIT in node.facets and facts.get("init") != "systemd":
        raise RemoteError(
            f"{node.alias}: systemd does not run on {node.address}",
            remedy="use a host with systemd, such as Debian 12 or Ubuntu 22.04 and 24.04, or the docker provider",
            node=node.alias,
        )
    if facts.get("python") == "none" or facts.get("kernel") != "Linux":
        raise RemoteError(
            f"{node.alias}: {node.address} has no Python 3, or does not run Linux",
            remedy="use a Linux host with python3 (apt-get install python3)",
            node=node.alias,
        )
    if node.bootstrap_key and not facts.get("host_key"):
        raise RemoteError(
            f"{node.alias}: it could not make a host key of its own",
            remedy="use an image with OpenSSH's ssh-keygen and some free space on its disk",
            node=node.alias,
        )
    return Facts(int(facts["cores"]), facts.get("host_key", ""))


def use_own_key(remote: Remote, key: str) -> None:
    """Have the node show this key, which it has made, to all who come from now on. May run twice.

    Raises:
        RemoteError: it does not, and may still show the one that it was born with; the message says why.
    """
    remote.run_script(render("host_key_use.sh.j2", own=key), name="host key", sudo=True, timeout_s=_KEY_TIMEOUT_S)
