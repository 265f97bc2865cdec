"""Runs scripts that set up a machine, and reads their report: changes, notes, facts, and the reason of a refusal.

The scripts print lines on stdout, ``changed: WHAT``, ``note: TEXT`` or ``fact: NAME VALUE``, and end with status 65
after ``error: TEXT`` and ``try: TEXT`` on stderr. The pieces of shell for that are in ``machine.sh``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node

_REFUSED = 65  # EX_DATAERR of sysexits.h: the script looked at the machine and refused


@dataclass(frozen=True)
class Report:
    """The changes and facts of a script. A script with nothing to do has changed nothing."""

    changed: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def run_reported(cluster: Cluster, node: Node, script: str, *, name: str, secret: bool = False) -> Report:
    """Run a root script and return its report. Its notes are shown to the user.

    Args:
        cluster: the cluster of the node.
        node: the node to run it on.
        script: the text of the script.
        name: the name of the script in logs and errors.
        secret: keep the output out of the node's log.

    Raises:
        RemoteError: the script failed. If it refused, the error has its message and remedy.
    """
    try:
        output = cluster.on(node).run_script(script, name=name, secret=secret, sudo=True).stdout
    except RemoteError as exc:
        if exc.status != _REFUSED:
            raise
        error, remedy = (_tagged_lines(exc.output, kind) for kind in ("error", "try"))
        raise RemoteError(
            f"{node.alias}: {' '.join(error) or exc.message}",
            remedy=" ".join(remedy) or exc.remedy,
            node=node.alias,
            status=exc.status,
            output=exc.output,
        ) from exc
    for note in _tagged_lines(output, "note"):
        cluster.say(f"{node.alias}: {note}")
    facts = (line.partition(" ") for line in _tagged_lines(output, "fact"))
    return Report(tuple(_tagged_lines(output, "changed")), {key: value for key, _, value in facts})


def _tagged_lines(output: str, kind: str) -> list[str]:
    start = f"{kind}: "
    return [line[len(start) :].strip() for line in output.splitlines() if line.startswith(start)]
