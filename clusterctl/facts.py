"""What a machine is, asked of itself at the first login. One remote command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError
from clusterctl.model import Facet
from clusterctl.render import render

if TYPE_CHECKING:
    from clusterctl.model import Node
    from clusterctl.remote import Remote


def learn(remote: Remote, node: Node) -> Node:
    """The node with what it says of itself: its cores.

    Raises:
        RemoteError: it is not what its provider promised, such as a host without systemd, or the login may not
            become root.
    """
    said = remote.run_script(render("facts.sh.j2"), name="facts", sudo=True).stdout
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
    return replace(node, cores=int(facts["cores"]))
