"""Pieces of shell for root scripts on a machine: commands and folders of other users.

A node that is not a machine has a single user, who owns everything. There each piece leaves accounts out.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from clusterctl.model import Facet

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from clusterctl.model import Node

_END = "CLUSTERCTL_AS_USER"


def as_user(node: Node, user: str, script: str) -> str:
    """Return a piece of a root script that runs `script` as this user, in the user's home, and ends with its status.

    It finds the cluster's programs first, as everything of that user does.

    The script is passed over stdin, so its secrets show in no process list.
    """
    if Facet.MACHINE not in node.facets:
        return f"{script}\n"
    home = shlex.quote(str(node.layout.home))
    name = shlex.quote(user)
    path = ":".join(shlex.quote(str(folder)) for folder in node.layout.programs) + ':"$PATH"'
    # Root may lack access to a shared home. The script is read whole before it runs: a command in it may read stdin.
    return (
        f"(cd / && exec runuser -u {name} -- env HOME={home} USER={name} LOGNAME={name} PATH={path} sh -s) <<'{_END}'\n"
        f"clusterctl_as_user() {{\ncd {home} || exit\n{script}\n}}\nclusterctl_as_user\nexit $?\n{_END}\n"
    )


def own_folder(node: Node, user: str, path: PurePosixPath, *, mode: str = "0700") -> str:
    """Return a line that makes a folder for this user. Missing parent folders are made for root."""
    folder = shlex.quote(str(path))
    if Facet.MACHINE not in node.facets:
        return f"mkdir -p {folder}\n"
    owner = shlex.quote(user)
    above = f"mkdir -p {shlex.quote(str(path.parent))}\n"
    return f'{above}install -d -m {mode} -o {owner} -g "$(id -gn {owner})" {folder}\n'
