"""What is known of a job, on the laptop and on the nodes. A laptop believes what a node says once it is checked."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

WAITING, RUNNING, DONE, FAILED, CANCELLED, LOST, TIMED_OUT = (
    "waiting",
    "running",
    "done",
    "failed",
    "cancelled",
    "lost",
    "timed out",
)
"""`waiting`: for cores. `lost`: the process that ran it is gone, killed or with its node."""
STATES = frozenset({WAITING, RUNNING, DONE, FAILED, CANCELLED, LOST, TIMED_OUT})
UNDER_WAY = frozenset({WAITING, RUNNING})
REASONS: Mapping[str, str] = {LOST: "lost", TIMED_OUT: "timeout", FAILED: "failed"}
"""The states after which a job can run again, by what `--retry-on` calls them."""
FOLDER = "jobs"
"""Below the folder that clusterctl has on the home."""
WORK = "work"
"""Below a job's own folder: where it runs."""
_ID = re.compile(r"[0-9a-f]{4,32}")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_LONGEST = 2000
"""Of a text that a node says."""
_LONGEST_NAME = 100
"""Of a person and a laptop."""
_MOST_WORDS = 200
"""Of a command that is shown."""


class JobError(ClusterctlError):
    """A job cannot be begun, or what it did cannot be had."""


@dataclass(frozen=True)
class JobOrder:
    """A job as it is handed over, but for its code and the values of its variables."""

    id: str
    command: tuple[str, ...]
    node: str
    """The alias of the node that it was given to first."""
    name: str = ""
    cores: int = 1
    """0: all that its node has."""
    max_time_s: float | None = None
    retries: int = 0
    retry_on: tuple[str, ...] = ("failed", "lost", "timeout")
    fetch: tuple[str, ...] = ()
    """What of its folder is kept until it was fetched."""
    port: int | None = None
    image: str = ""
    """Of the container in which it runs; empty for none."""
    grace_s: float = 30.0
    """Between the signal to end and the end."""
    begun_by: str = ""
    """Who, on which laptop; empty where an older version did not say."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """What it was made from: commit, tree, price. No values of variables."""

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def read_order(said: Mapping[str, Any]) -> JobOrder:
    """Return the order that `as_json` wrote.

    Raises:
        ValueError: it is none.
    """
    known = {part.name for part in fields(JobOrder)}
    try:
        parts: dict[str, Any] = {
            name: tuple(part) if isinstance(part, list) else part for name, part in said.items() if name in known
        }
        order = JobOrder(**parts)
    except (TypeError, AttributeError) as exc:
        raise ValueError("no order of a job") from exc
    if not _ID.fullmatch(order.id) or not order.command:
        raise ValueError("no order of a job")
    return order


@dataclass(frozen=True)
class JobStatus:
    """How a job is."""

    id: str
    state: str
    command: tuple[str, ...]
    node: str
    """Where it runs, or ran last."""
    cores: int
    created: float
    """Seconds since 1970, by the clock of a node; so are the others."""
    name: str = ""
    began: float | None = None
    ended: float | None = None
    exit: int | None = None
    """128 more than its number for a signal."""
    tries: int = 0
    """How often it has begun."""
    can_rerun: bool = False
    """Whether it is lost and is to run again."""
    detail: str = ""
    port: int | None = None
    fetch: tuple[str, ...] = ()
    fetched: bool = False
    begun_by: str = ""
    """Who, on which laptop; empty where that is not known."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self.state not in UNDER_WAY and not self.can_rerun

    @property
    def words(self) -> str:
        """The command, as it is shown."""
        return " ".join(self.command)

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def parse_status(said: object) -> JobStatus:
    """Return the status that a node has told. What it says is not believed further than it can be shown.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(said, dict):
        raise ValueError("no status of a job")  # noqa: TRY004  whatever it was, it is no status
    known = {part.name for part in fields(JobStatus)}
    parts: dict[str, Any] = {
        name: tuple(part) if isinstance(part, list) else part for name, part in said.items() if name in known
    }
    try:
        status = JobStatus(**parts)
    except TypeError as exc:
        raise ValueError("no status of a job") from exc
    if not isinstance(status.command, tuple) or not isinstance(status.fetch, tuple):
        raise ValueError("no status of a job")  # noqa: TRY004  as above
    said_texts = (status.id, status.state, status.node, status.name, status.detail, status.begun_by)
    texts = (*said_texts, *status.command, *status.fetch)
    counts = (status.cores, status.tries, status.created)
    maybe = (status.began, status.ended, status.exit, status.port)
    if not all(isinstance(text, str) for text in texts) or not all(map(_is_number, counts)):
        raise ValueError("no status of a job")
    if not all(number is None or _is_number(number) for number in maybe):
        raise ValueError("no status of a job")
    if not _ID.fullmatch(status.id) or status.state not in STATES or not _ALIAS.fullmatch(status.node):
        raise ValueError("no status of a job")
    return replace(
        status,
        command=tuple(clean_text(word[:_LONGEST]) for word in status.command[:_MOST_WORDS]),
        name=clean_text(status.name[:_LONGEST]),
        detail=clean_text(status.detail[:_LONGEST]),
        begun_by=clean_text(status.begun_by[:_LONGEST_NAME]),
        can_rerun=status.can_rerun is True,
        fetched=status.fetched is True,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def new_id() -> str:
    """Return an id that no other job has."""
    return secrets.token_hex(5)[:9]


def check_id(job_id: str) -> str:
    """Return an id of a job.

    Raises:
        UsageError: it can be none.
    """
    if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
        raise UsageError(f"{job_id!r} can be no id of a job", remedy="`clusterctl jobs` lists them")
    return job_id
