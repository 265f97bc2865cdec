"""The facts of a machine, read by one remote command at the first login."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError
from clusterctl.model import Facet
from clusterctl.node.render import render

if TYPE_CHECKING:
    from clusterctl.model import Node
    from clusterctl.remote.base import Remote


_KEY_TIMEOUT_S = 60.0
_HOST_KEY = re.compile("[a-z0-9@.-]{1,64} [A-Za-z0-9+/=]{1,4096}")
"""It goes into the list of known hosts of every member, so it is nothing but a key."""


@dataclass(frozen=True)
class Facts:
    """The facts that a machine reports."""

    cores: int
    host_key: str = ""
    """The node's own new host key, as ``ssh-ed25519 AAAA...``; only if it was created with a temporary key."""


def gather_facts(remote: Remote, node: Node) -> Facts:
    """Return the node's facts. A node that was created with a temporary host key makes its own key in this step.

    Raises:
        RemoteError: the node is not as its provider promised, such as a host without systemd, or the user cannot
            become root.
    """
    # Without the comment, since the node compares it with its present key.
    born_with = " ".join(node.host_key.split()[:2]) if node.bootstrap_key else ""
    script = render("facts.sh.j2", born_with=born_with)
    output = remote.run_script(script, name="facts", sudo=True, reads=not born_with).stdout
    facts = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
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
    if node.bootstrap_key and not _HOST_KEY.fullmatch(facts.get("host_key", "")):
        raise RemoteError(
            f"{node.alias}: it could not make a host key of its own",
            remedy="use an image with OpenSSH's ssh-keygen and some free space on its disk",
            node=node.alias,
        )
    cores = facts.get("cores", "")
    if not re.fullmatch("[0-9]{1,6}", cores):
        raise RemoteError(
            f"{node.alias}: it does not say how many cores it has",
            remedy=f"see what `nproc` prints there: `clusterctl sshnode {node.cluster} {node.alias} nproc`",
            node=node.alias,
        )
    return Facts(int(cores), facts.get("host_key", "") if node.bootstrap_key else "")


def switch_host_key(remote: Remote, key: str) -> None:
    """Make the node show its own new host key from now on. May run twice.

    Raises:
        RemoteError: the change failed, and the node may still show its first key; the message says why.
    """
    remote.run_script(render("host_key_use.sh.j2", own=key), name="host key", sudo=True, timeout_s=_KEY_TIMEOUT_S)
