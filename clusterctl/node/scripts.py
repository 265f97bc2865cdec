"""What a script that sets a machine up says of itself: what it changed, what it found, and why it refused.

The scripts print lines on stdout, ``changed: WHAT``, ``note: TEXT`` or ``fact: NAME VALUE``, and end with status 65
after ``error: TEXT`` and ``try: TEXT`` on stderr. The pieces of shell for that are in ``machine_macros.sh.j2``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.cluster import Cluster
    from clusterctl.model import Node

_REFUSED = 65  # EX_DATAERR of sysexits.h: it was looked at, and cannot be made so


@dataclass(frozen=True)
class Report:
    """What a script did. One that had nothing to do has changed nothing."""

    changed: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def run_reported(cluster: Cluster, node: Node, script: str, *, name: str, secret: bool = False) -> Report:
    """Run a root script that says what it changed; its notes are told to the user.

    Args:
        cluster: that the node belongs to.
        node: where to run it.
        script: the text of the script.
        name: what to call it in logs and errors.
        secret: keep what it prints out of the node's log.

    Raises:
        RemoteError: it failed. Where it refused, with its own words and remedy.
    """
    try:
        said = cluster.on(node).run_script(script, name=name, secret=secret, sudo=True).stdout
    except RemoteError as exc:
        if exc.status != _REFUSED:
            raise
        error, remedy = (_values(exc.output, kind) for kind in ("error", "try"))
        raise RemoteError(
            f"{node.alias}: {' '.join(error) or exc.message}",
            remedy=" ".join(remedy) or exc.remedy,
            node=node.alias,
            status=exc.status,
            output=exc.output,
        ) from exc
    for note in _values(said, "note"):
        cluster.say(f"{node.alias}: {note}")
    facts = (line.partition(" ") for line in _values(said, "fact"))
    return Report(tuple(_values(said, "changed")), {key: value for key, _, value in facts})


def _values(output: str, kind: str) -> list[str]:
    start = f"{kind}: "
    return [line[len(start) :].strip() for line in output.splitlines() if line.startswith(start)]
