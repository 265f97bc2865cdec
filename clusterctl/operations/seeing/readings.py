"""What nodes tell of their load and of the engines' work. It is their word: what makes no sense is left out."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 1e18
_MOST = 1e12
_LONGEST = 80
"""Letters of a name or path that are shown."""
_MOST_ROWS = 64
"""Disks and GPUs of one node."""
_MOST_ENGINES = 100_000
_ENGINE_ID = re.compile("[0-9]{1,9}")


@dataclass(frozen=True)
class Space:
    """A disk, or a GPU with its memory."""

    name: str
    """The path where it is mounted, or the model."""
    used: int | None
    """Bytes."""
    total: int | None
    busy: float | None = None
    """The share of its time, from 0 to 1; only of a GPU."""


@dataclass(frozen=True)
class Load:
    """The load of a node. None: it does not tell."""

    cpu: float | None = None
    """The share of all cores that was busy, from 0 to 1."""
    cores: float | None = None
    load: float | None = None
    """How many processes wanted to run, in the mean of the last minute."""
    memory: Space | None = None
    disks: tuple[Space, ...] = ()
    gpus: tuple[Space, ...] = ()


@dataclass(frozen=True)
class EngineWork:
    """What an engine has."""

    tasks: int
    """Tasks that were given to it, with the one that it is at."""
    client: str = ""
    """The session of the client whose task it is at; empty if it is not known."""
    kind: str = ""
    """Of the task's message: ``apply_request`` or ``execute_request``."""
    seconds: float | None = None
    """For how long it has been at it."""


@dataclass(frozen=True)
class Work:
    """The work at the controller."""

    answered: bool = False
    waiting: int = 0
    """Tasks that no engine has been given yet."""
    rate: float | None = None
    """Tasks that ended in a second."""
    engines: Mapping[int, EngineWork] = field(default_factory=dict)


def parse_load(line: bytes) -> Load:
    """Return the load that a node has told.

    Raises:
        ValueError: it is none.
    """
    said = _parse_object(line)
    memory = said.get("memory")
    return Load(
        cpu=_number(said.get("cpu"), 1),
        cores=_number(said.get("cores"), 1e6),
        load=_number(said.get("load"), 1e9),
        memory=_space(["memory", *memory]) if isinstance(memory, list) else None,
        disks=_spaces(said.get("disks"), lambda name, used, total: [name, used, total]),
        gpus=_spaces(said.get("gpus"), lambda name, busy, used, total: [name, used, total, busy]),
    )


def parse_work(line: bytes) -> Work:
    """Return the work that a master has told.

    Raises:
        ValueError: it is none.
    """
    said = _parse_object(line)
    if said.get("answered") is not True:
        return Work()
    engines = said.get("engines")
    if not isinstance(engines, dict) or len(engines) > _MOST_ENGINES:
        raise ValueError("no engines")
    parsed = {
        int(number): _engine(engine)
        for number, engine in engines.items()
        if isinstance(engine, dict) and _ENGINE_ID.fullmatch(number)
    }
    return Work(
        answered=True, waiting=_count(said.get("waiting")), rate=_number(said.get("rate"), _MOST), engines=parsed
    )


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except RecursionError as exc:
        raise ValueError("no object") from exc
    if not isinstance(said, dict):
        raise ValueError("no object")  # noqa: TRY004  whatever it was, it makes no sense
    return said


def _number(value: Any, most: float) -> float | None:
    """Return a number from 0 up to this; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= most else None


def _count(value: Any) -> int:
    return int(_number(value, _MOST) or 0)


def _word(value: Any) -> str:
    return clean_text(value[:_LONGEST]) if isinstance(value, str) else ""


def _spaces(rows: Any, order: Any) -> tuple[Space, ...]:
    """Return the rows that make sense; `order` puts the columns of one into the order of `_space`."""
    spaces = []
    for row in rows[:_MOST_ROWS] if isinstance(rows, list) else ():
        try:
            spaces.append(_space(order(*row)))
        except TypeError:
            continue  # no row, or of other columns
    return tuple(space for space in spaces if space is not None)


def _space(row: list[Any]) -> Space | None:
    name, used, total, busy = [*row, None][:4] if len(row) in {3, 4} else ("", None, None, None)
    used, total = (_number(size, _MOST_BYTES) for size in (used, total))
    if not _word(name) or (used is not None and total is not None and used > total):
        return None
    used, total = (None if size is None else int(size) for size in (used, total))
    return Space(_word(name), used, total, _number(busy, 1))


def _engine(said: dict[str, Any]) -> EngineWork:
    return EngineWork(
        _count(said.get("tasks")), _word(said.get("client")), _word(said.get("kind")), _number(said.get("seconds"), 1e9)
    )
