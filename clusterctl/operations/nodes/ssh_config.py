"""How OpenSSH, and all that uses it (rsync, VS Code, Git), gets to a cluster's nodes: a config file for it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.errors import StateError, UsageError
from clusterctl.model import NodeState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\[\]-]*")
"""What a name, an address or a user may be: what a provider says of a node must not become a line of its own."""


def write_ssh_config(context: RunContext, *, user: str | None = None) -> str:
    """Return a config of OpenSSH with a host for each running node: ``NAME`` is the master, ``NAME-node001`` a worker.

    Args:
        context: the context of the run.
        user: who logs in; None for the user that set the nodes up. The cluster user is let in by the cluster's own key.

    Raises:
        UsageError: no node runs.
        StateError: the nodes' host keys, or the key to log in with, are not known on this computer.
    """
    nodes = [node for node in context.provider.nodes(context.name) if node.state == NodeState.RUNNING]
    if not nodes:
        raise UsageError(
            f"no node of {context.name} runs", remedy=f"`clusterctl start {context.name}` brings it up, if it exists"
        )
    for path in (context.folder.known_hosts_file, context.folder.private_key_file):
        if not path.is_file():
            raise StateError(f"{path} is missing", remedy=f"`clusterctl start {context.name}` makes it anew")
    cluster_user = context.machines.user
    lines = [f"# Nodes of the cluster {context.name}, of `clusterctl ssh-config`. A start may change their addresses."]
    for node in nodes:
        lines += ["", *_host_lines(context, node, user or node.user, is_own=user in {None, node.user}, of=cluster_user)]
    return "\n".join([*lines, ""])


def _host_lines(context: RunContext, node: Node, user: str, *, is_own: bool, of: str) -> Iterator[str]:
    # The key or agent that the provider's user accepts may not be accepted by the user that we made.
    access = node.access if is_own or user != of else replace(node.access, key="", agent=False)
    names = [f"{context.name}-{node.alias}", *([context.name] if node.is_master else [])]
    yield f"Host {' '.join(_check(name) for name in names)}"
    yield f"    HostName {_check(node.address)}"
    yield f"    Port {node.port}"
    yield f"    User {_check(user)}"
    yield f"    IdentityFile {_quote(access.key or context.folder.private_key_file)}"
    if not access.agent:
        yield "    IdentitiesOnly yes"
    yield f"    UserKnownHostsFile {_quote(context.folder.known_hosts_file)}"
    yield "    GlobalKnownHostsFile /dev/null"
    yield "    StrictHostKeyChecking yes"
    yield "    UpdateHostKeys no"  # the file is clusterctl's
    yield "    CheckHostIP no"
    if access.command:
        yield f"    ProxyCommand {shlex.join(access.command).replace('%', '%%')}"
    elif access.jump:
        yield f"    ProxyJump {_check(access.jump)}"
    elif access.through:  # the host of this name above or below
        yield f"    ProxyJump {_check(f'{context.name}-{access.through.alias}')}"


def _check(word: str) -> str:
    if not _WORD.fullmatch(word):
        raise StateError(f"{word!r} cannot be a name, an address or a user", remedy="`clusterctl list` shows the nodes")
    return word


def _quote(path: Path | str) -> str:
    """Return a path as ssh_config takes it: a percent sign begins a token of its own there."""
    return '"' + str(path).replace("%", "%%") + '"'
