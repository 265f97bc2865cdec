"""One owner on a node: who sends a script that changes it, and what the node says to a second one.

The node's side is `templates/owner.sh`; docs/decisions/0063-owners.md says why.
"""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from clusterctl.clock import utc_now
from clusterctl.errors import OwnerError
from clusterctl.model import Facet
from clusterctl.text import clean_text, format_age

if TYPE_CHECKING:
    from clusterctl.model import Node

SHELL = "sh -s"
_WORDS = ("busy", "late", "stuck")
_LONGEST = 200
NOT_OWNED = 75  # EX_TEMPFAIL of sysexits.h
"""The exit status of a script that may not begin."""


@dataclass(frozen=True)
class Owner:
    """A run of a command, as the nodes that it changes know it."""

    home: str
    """Names the folder on a laptop whose lock the command holds: it has one command at a time."""
    turn: int
    """Grows with each command of the home."""
    run: str
    """Names the command."""
    since: str
    """When it began, in UTC: ``2025-06-10T07:00:00Z``."""
    who: str
    """``user@host, process 123``."""
    what: str
    """The command, without its options: ``clusterctl start lab``."""


@cache
def _node_side() -> str:
    """Return the text of `owner.sh` without its comments and indents, which would go to the node with every script."""
    text = files("clusterctl_templates").joinpath("owner.sh").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if not line.startswith("#"))


def prepare(script: str, owner: Owner | None, node: Node, *, sudo: bool, word: str) -> tuple[str, str]:
    """Return the command that runs a script, and the text that it reads.

    The shell reads the whole script before it runs a line of it, and exits without an end of input.

    Args:
        script: the text.
        owner: the run that sends it, where only one may; None for one that may run beside others.
        node: the node that it is for.
        sudo: whether it becomes root.
        word: is printed when it begins, and begins the lines that `refusal` reads; nobody else knows it.
    """
    function = f"clusterctl_script() {{\n{script}\n}}\n"
    if owner is None:
        return SHELL, f"{function}echo {word}\nclusterctl_script\nexit $?\n"
    owns_all = sudo or node.user == "root" or Facet.MACHINE not in node.facets
    values = {
        "owner_place": str(node.layout.run) if owns_all else "",
        "owner_home": owner.home,
        "owner_turn": str(owner.turn),
        "owner_run": owner.run,
        "owner_since": owner.since,
        "owner_who": owner.who,
        "owner_what": owner.what,
        "owner_word": word,
    }
    settings = "".join(f"{name}={shlex.quote(' '.join(value.split()))}\n" for name, value in values.items())
    name = f"script.{owner.run}.{secrets.token_hex(4)}"
    return f"env CLUSTERCTL_SCRIPT={name} {SHELL}", f"{function}{_node_side()}{settings}echo {word}\nowner_main\n"


def refusal(errors: str, node: Node, *, word: str) -> OwnerError | None:
    """Return the error for a script that the node has refused to its sender; None if it did not."""
    lines = [clean_text(line)[:_LONGEST] for line in errors.splitlines()]
    heads = {f"{word} {why}": why for why in _WORDS}
    place = next((number for number, line in enumerate(lines) if line in heads), None)
    if place is None:
        return None
    who, what, since, detail = [*lines[place + 1 : place + 5], "", "", "", ""][:4]
    message, remedy = _WRITERS[heads[lines[place]]](node, f"{who}, {what}{_describe_time(since)}", detail)
    return OwnerError(f"{node.alias}: {message}", remedy=remedy, node=node.alias)


def _busy(node: Node, other: str, session: str) -> tuple[str, str]:
    remedy = "wait for it to end, or end it there"
    if session.isdigit():
        # Nobody can see from the node whether a computer that is cut off will come back.
        kill = f"clusterctl exec -n {node.alias} {node.cluster} -- kill {session}"
        remedy += f"; if that computer is gone, end its session on the node: {kill}"
    return f"another clusterctl is at work there: {other}", remedy


def _late(node: Node, other: str, _: str) -> tuple[str, str]:
    return (
        f"another clusterctl has taken over there: {other}",
        f"see `clusterctl status {node.cluster}`, then try again",
    )


def _stuck(node: Node, _: str, processes: str) -> tuple[str, str]:
    message = f"what an earlier command left there does not end:{processes and ' '}{processes.strip()}"
    return message, f"end it on the node, or restart that: `clusterctl restart {node.cluster}`"


_WRITERS = {"busy": _busy, "late": _late, "stuck": _stuck}


def _describe_time(since: str) -> str:
    """Return when and how long ago another command began; nothing where the node's word is no time."""
    try:
        moment = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return ""
    return f", since {moment.astimezone():%H:%M:%S} ({format_age(utc_now() - moment)} ago)"
