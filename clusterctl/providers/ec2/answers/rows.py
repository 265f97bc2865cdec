"""What a row of the table of error codes says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Why AWS refuses."""

    ABSENT = "it is not there, or too new to be known everywhere"
    TAKEN = "it is there already"
    HELD = "others still use it, or its state forbids the change"
    BUSY = "AWS is busy"
    CAPACITY = "AWS has none left"
    PRICE = "the market's price is above the bid"
    QUOTA = "the account may not have so many"
    POOL = "this zone or this market does not offer the type"
    RIGHTS = "the user may not do this"
    LOGIN = "the credentials do not work"
    ACCOUNT = "the account cannot do this yet"
    REQUEST = "the request is wrong"
    IMAGE = "the image cannot be used"
    NETWORK = "the network cannot hold it"
    ALLOWED = "nothing: it was asked only whether it would be allowed, and it would"
    UNKNOWN = "no row of the table has this code"


class Road(Enum):
    """What is done about a refusal."""

    AWAIT = "waited for where this run made it, else a stop"
    RETRY = "asked again with growing pauses, up to a deadline"
    ELSEWHERE = "another type or zone"
    ON_DEMAND = "another type or zone, then on demand where that was agreed to"
    REUSE = "what is there is used, if it is the cluster's"
    LET_GO = "waited for until a deadline, then named as left"
    STOP = "a stop: what was begun is undone"


@dataclass(frozen=True)
class Row:
    """An error code, and what it comes to."""

    code: str
    """The code; with ``*`` for any characters it stands for a family."""
    kind: Kind
    road: Road
    remedy: str
    """What the user can do."""
    source: str
    """A key of `table.SOURCES`: where AWS, or a user of it, says so."""
    calls: tuple[str, ...] = ()
    """The only operations that the row is about, as boto3 names them; empty for all."""
    about: str = ""
    """Text in AWS's message that the row needs; empty for any."""
    says_all: bool = False
    """The code tells all: AWS's message adds nothing."""
