"""Whose files and processes on a node: pieces of shell for scripts that run as root on a machine.

A node that is no machine has one user, who owns all of it; there each piece is what it would be without accounts.
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
    """A piece of a root script that runs `script` as this user, in the user's home, and ends with its status.

    The script comes over stdin, so secrets in it show in no process list.
    """
    if Facet.MACHINE not in node.facets:
        return f"{script}\n"
    home = shlex.quote(str(node.layout.home))
    name = shlex.quote(user)
    # A shared home may be closed to root. The script is read whole before it begins: a command in it may read stdin.
    return (
        f"(cd / && exec runuser -u {name} -- env HOME={home} USER={name} LOGNAME={name} sh -s) <<'{_END}'\n"
        f"clusterctl_as_user() {{\ncd {home} || exit\n{script}\n}}\nclusterctl_as_user\nexit $?\n{_END}\n"
    )


def own_folder(node: Node, user: str, path: PurePosixPath, *, mode: str = "0700") -> str:
    """A line that makes a folder which belongs to this user; those above it are made for root."""
    folder = shlex.quote(str(path))
    if Facet.MACHINE not in node.facets:
        return f"mkdir -p {folder}\n"
    owner = shlex.quote(user)
    above = f"mkdir -p {shlex.quote(str(path.parent))}\n"
    return f'{above}install -d -m {mode} -o {owner} -g "$(id -gn {owner})" {folder}\n'
