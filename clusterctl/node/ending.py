"""On which terms a cluster ends by itself: the file on its master that the watch goes by, and what the watch says."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.errors import RemoteError
from clusterctl.node import watch
from clusterctl.node.programs import node_program, run_program
from clusterctl.node.render import render
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.service import Busy

_LONGEST = 300
_ASK_PEOPLE = "clusterctl.on_node.system.ending.ask_people"
_ASK_PROGRAMS = "clusterctl.on_node.system.ending.programs"
_ASK_S = 60.0
_SPECIAL = re.compile(r"[.+*?^${}()|\[\]\\]")
_PHASES = {"awake", "warned", "ending", "ended"}


@dataclass(frozen=True)
class Terms:
    """On which terms a cluster ends. The fields are those of `on_node.system.ending.records.Terms`."""

    cluster: str
    life: str
    """Which life LIFETIME counts: the machine of the master and its boot."""
    idle_s: float = 0.0
    """0: never; so are the next ones."""
    lifetime_s: float = 0.0
    client_s: float = 0.0
    max_usd: float = 0.0
    hourly_usd: float = 0.0
    spent_usd: float = 0.0
    lasts: bool = True
    powers_off: bool = False
    stops: bool = False
    ignored: tuple[str, ...] = ()
    notify: str = field(default="", repr=False)
    on_end: str = ""
    on_end_s: float = 600.0
    address: str = ""
    lost_s: float = 0.0
    workers: tuple[str, ...] = ()
    programs: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def exist(self) -> bool:
        """Whether the master has anything to see to."""
        return self.ends or bool(self.notify)

    @property
    def ends(self) -> bool:
        """Whether the cluster ever ends by itself."""
        return any((self.idle_s, self.lifetime_s, self.client_s, self.max_usd))


@dataclass(frozen=True)
class Ending:
    """What the master says of the end of its cluster."""

    phase: str
    why: str
    busy: str
    """Who works; empty: nobody."""
    idle_s: float
    kept_s: float
    ends_in_s: float | None
    keep: str
    """The id of the last wish to keep it that was heard."""


def runners_pattern(node: Node) -> str:
    """Return what `pgrep -f` finds a node's jobs by: the process that runs each, and ends it well when told by SIGTERM.

    Several nodes may be on one computer.
    """
    folder = _SPECIAL.sub(r"\\\g<0>", str(node.layout.home / ".clusterctl" / "jobs"))
    # The bracket keeps a shell that has this in its arguments from being found.
    return f"[c]lusterctl.clients.run_job {folder}/[0-9a-f]+ {node.alias} "


def busy_program(busy: Busy) -> Mapping[str, Any]:
    """Return a program that says who works, as the terms have it."""
    values = json.loads(json.dumps(dict(busy.values), default=str))
    return {"cause": busy.cause, "program": node_program(busy.module), "values": values}


def terms_script(node: Node, terms: Terms | None) -> str:
    """Return a script that has the master go by these terms; by none, without them."""
    document = json.dumps(asdict(terms)) if terms else ""
    return render("ending_terms.sh.j2", file=watch.terms_file(node), terms=document)


def parse(said: object) -> Ending | None:
    """Return what a master has said. It is a node's word: what is not as agreed was not said."""
    if not isinstance(said, dict) or said.get("phase") not in _PHASES:
        return None
    try:
        in_s = said["ends_in_s"]
        return Ending(
            phase=str(said["phase"]),
            why=clean_text(str(said["why"])[:_LONGEST]),
            busy=clean_text(str(said["busy"])[:_LONGEST]),
            idle_s=_seconds(said["idle_s"]),
            kept_s=_seconds(said["kept_s"]),
            ends_in_s=None if in_s is None else _seconds(in_s),
            keep=str(said["keep"])[:64],
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:
        raise ValueError("no time")
    return float(value)


def ask_who_works(cluster: Cluster, node: Node) -> str:
    """Return who works on a node besides its engines: people, processes, jobs; empty if nobody does.

    One remote command, which looks for some seconds.

    Raises:
        RemoteError: the node does not answer, or not as agreed.
    """
    said = _ask(cluster, node, _ASK_PEOPLE, {"home": node.layout.home})
    try:
        return clean_text("; ".join(map(str, said["work"]))[:_LONGEST])
    except (KeyError, TypeError) as exc:
        raise _unreadable(node) from exc


def ask_programs(cluster: Cluster, programs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what is at work on single nodes, by alias, as the programs of plugins say.

    Args:
        cluster: the cluster, whose master is asked: one remote command.
        programs: those of `busy_program`.

    Raises:
        RemoteError: the master does not answer, or not as agreed, or a program does not.
    """
    master = cluster.master
    said = _ask(cluster, master, _ASK_PROGRAMS, {"programs": list(programs)}) if programs else {"nodes": {}}
    try:
        if silent := said.get("silent"):
            raise RemoteError(
                f"{', '.join(clean_text(str(cause)) for cause in silent)}: nobody can say what works",
                remedy=f"see `clusterctl status {master.cluster}`",
                node=master.alias,
            )
        return {str(alias): clean_text(str(text)[:_LONGEST]) for alias, text in said["nodes"].items()}
    except (KeyError, TypeError, AttributeError) as exc:
        raise _unreadable(master) from exc


def _ask(cluster: Cluster, node: Node, program: str, values: Mapping[str, object]) -> dict[str, Any]:
    script = run_program(node.layout.env / "bin" / "python", program, values)
    result = cluster.on(node).run_script(script, name="ask who works", timeout_s=_ASK_S, sudo=True, reads=True)
    try:
        said = json.loads(result.stdout.splitlines()[-1])
    except (ValueError, IndexError, RecursionError) as exc:
        raise _unreadable(node) from exc
    if not isinstance(said, dict):
        raise _unreadable(node)
    return said


def _unreadable(node: Node) -> RemoteError:
    return RemoteError(
        f"{node.alias}: the question who works there got an answer that cannot be read",
        remedy=f"log in there and see what prints: `clusterctl sshnode {node.cluster} {node.alias} true`",
        node=node.alias,
    )
