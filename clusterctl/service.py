"""A service of a node: a program that is kept running, what probes it, and what is known of its instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Probe:
    """A program that finds out whether a service works, by using it.

    The node runs it every few seconds, as root on a machine; `status` and `start` run it as well. Its `main` takes the
    values and returns a function. That is called with the process id of the service, takes at most some three seconds,
    and returns ``{"parts": [{"part": NAME, "pid": PID, "trouble": TEXT}, ...]}``: an entry for each part, with an empty
    `trouble` where it works; `pid` may be left out. ``facts`` beside ``parts`` are passed to `clusterctl_status`. An
    error that it raises is trouble, too. Two probes in a row with trouble restart the service.
    """

    module: str | Path
    """As for `node_program`."""
    values: Mapping[str, object] = field(default_factory=dict)
    """No secrets: they are kept in a file."""


@dataclass(frozen=True)
class Busy:
    """A program that says who works, so that a cluster does not end for being idle. The master asks it.

    Its `main` takes the values and returns a function. That is called without arguments, takes at most some five
    seconds, and returns what works, as ``3 tasks at the controller``, or an empty text. Where it knows on which node
    that is, it returns such texts by alias, ``{"node002": "2 tasks"}``: a watch that makes the cluster smaller leaves
    such a node. What it raises counts as work for an hour. A probe is no work.
    """

    cause: str
    """What IDLE_IGNORES calls it: a word."""
    module: str | Path
    """As for `node_program`."""
    values: Mapping[str, object] = field(default_factory=dict)
    """Secrets are better kept in files of the node."""


@dataclass(frozen=True)
class Service:
    """A program that is kept running. It is restarted when it ends; its output is in ``LOGS/NAME-N.log``."""

    name: str
    command: Sequence[str]
    """The program and its arguments, without a shell. ``{number}`` is the number of the instance."""
    directory: PurePosixPath
    user: str = ""
    """The user to run as, if the node is a machine; empty: root."""
    home: PurePosixPath | None = None
    """The user's home. If it is shared, the service waits for it."""
    count: int = 1
    first: int = 0
    """The number of the first instance."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables. No secrets: everybody who may list this user's processes can see them."""
    whole_group: bool = False
    """Under supervisord, stop the child processes too; otherwise they see their parent end and can sign off. systemd
    always stops them."""
    version: str = ""
    """A text whose change restarts the service, as a change of any field above does."""
    probe: Probe | None = None
    """What tells whether it works; None: it works while it runs. Another probe restarts nothing."""


@dataclass(frozen=True)
class ServiceState:
    """The state of one instance of a service, as the node's service manager reports it."""

    service: str
    number: int
    running: bool
    detail: str


@dataclass(frozen=True)
class ServiceHealth:
    """What the probe of one instance of a service found."""

    service: str
    number: int
    trouble: str
    """What is wrong, by the names of the parts; empty where all works."""
    facts: Mapping[str, object] = field(default_factory=dict)
    restarts: int = 0
    """How often the node's watch has restarted it."""
    last_restart: str = ""
    """Why it did so the last time."""
