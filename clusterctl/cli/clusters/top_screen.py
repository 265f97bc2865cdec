"""What a cluster does, as lines of text for a terminal of any size. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.cli.money import format_dollars
from clusterctl.cli.output import format_table
from clusterctl.clock import utc_now
from clusterctl.operations.seeing.sight import BUSY, IDLE, MISSING
from clusterctl.text import clean_text, format_rate, format_span, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.seeing.readings import Space
    from clusterctl.operations.seeing.sight import EngineSight, MapSight, NodeSight, Sight

_KINDS = {"apply_request": "a call", "execute_request": "code"}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_LEAST_ROWS = 2
"""Of a table that does not fit, at least."""


@dataclass(frozen=True)
class _Column:
    """A column of a table. On a narrow terminal those with the highest rank go first; 0 stays."""

    heading: str
    cells: Sequence[str]
    rank: int = 0

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells)))


@dataclass(frozen=True)
class _Table:
    columns: Sequence[_Column]
    order: Sequence[int]
    """The rows, the most interesting ones first: those are shown where there is no room for all."""
    noun: str

    @property
    def rows(self) -> int:
        return len(self.order)

    def lines(self, width: int | None, most: int) -> list[str]:
        """Return its lines, with so many rows at most."""
        columns = list(self.columns)
        while width and len(columns) > 1 and sum(column.width + 2 for column in columns) - 2 > width:
            last = max(columns, key=lambda column: column.rank)
            if not last.rank:
                break
            columns.remove(last)
        shown = range(self.rows) if self.rows <= most else self.order[: most - 1]
        rows = [[column.cells[row] for column in columns] for row in shown]
        lines = format_table([column.heading for column in columns], rows)
        left_out = self.rows - len(shown)
        return [*lines, f"... and {plural(left_out, f'more {self.noun}')}"] if left_out else lines


def draw(sight: Sight, width: int | None = None, height: int | None = None) -> list[str]:
    """Return the lines of a screen.

    Args:
        sight: what is shown.
        width: columns of the terminal: less important columns of tables are left out, and the rest is cut off.
        height: its rows: the most interesting rows of tables are shown. None for both: all of it.
    """
    head = [*_head(sight), *(f"not seen: {note}" for note in sight.notes)]
    tables = [table for table in (_nodes(sight), _engines(sight), _maps(sight), _jobs(sight)) if table.rows]
    room = None
    if height is not None:
        while tables and height - len(head) < (2 + _LEAST_ROWS) * len(tables):
            tables.pop()  # the last ones first: what is left is worth reading
        room = height - len(head) - 2 * len(tables)
    shares = _share_out([table.rows for table in tables], room)
    lines = list(head)
    for table, share in zip(tables, shares, strict=True):
        lines += ["", *table.lines(width, share)]
    return [clean_text(line)[:width] for line in lines[:height]]


def _share_out(wanted: Sequence[int], room: int | None) -> list[int]:
    """Return how many rows each table gets: what small ones leave goes to the large ones."""
    if room is None or sum(wanted) <= room:
        return list(wanted)
    shares = [0] * len(wanted)
    left, open_tables = max(0, room), sorted(range(len(wanted)), key=lambda number: wanted[number])
    while open_tables:
        number = open_tables.pop(0)
        fair = left // (len(open_tables) + 1)
        shares[number] = min(wanted[number], fair)
        left -= shares[number]
    return shares


def _head(sight: Sight) -> list[str]:
    heard = sum(node.load is not None for node in sight.nodes)
    words = [f"{sight.name}, {sight.at:%H:%M:%S} UTC: {heard} of {plural(len(sight.nodes), 'node')} heard"]
    if sight.answered:
        up = [engine for engine in sight.engines if engine.state != MISSING]
        busy = sum(engine.state == BUSY for engine in up)
        words.append(f"{busy} of {plural(len(up), 'engine')} busy")
    if sight.spending:
        spent = sight.spending
        words.append(f"{format_dollars(spent.so_far)} so far, {format_dollars(spent.hourly)} an hour")
    lines = [", ".join(words)]
    if sight.answered:
        rate = "" if sight.rate is None else f", {format_rate(sight.rate)} tasks a second end"
        given = sum(engine.work.tasks for engine in sight.engines if engine.work)
        lines.append(f"queue: {plural(sight.waiting, 'task')} wait, {given} at engines{rate}")
    if sight.clients:
        left, a_second = sum(one.left for one in sight.clients), format_rate(sum(one.rate for one in sight.clients))
        lines.append(
            f"maps of {plural(len(sight.clients), 'client')}: {plural(left, 'item')} left, {a_second} a second"
        )
    return lines


def _nodes(sight: Sight) -> _Table:
    nodes = sight.nodes
    has_gpus = any(node.load and node.load.gpus for node in nodes)
    columns = [
        _Column("NODE", [node.alias for node in nodes]),
        _Column("CPU", [_cpu(node) for node in nodes]),
        _Column("MEMORY", [_space(node.load.memory if node.load else None) for node in nodes], 2),
        _Column("DISK", [_disk(node) for node in nodes], 4),
        *([_Column("GPU", [_gpus(node) for node in nodes], 3)] if has_gpus else []),
        _Column("BUSY", [f"{node.busy} of {node.engines}" if node.engines else "-" for node in nodes], 1),
        _Column("LOAD", [_load(node) for node in nodes], 5),
        _Column("STATE", [_state(node) for node in nodes], 0),
    ]
    order = sorted(
        range(len(nodes)), key=lambda row: (nodes[row].load is not None, -_busy_share(nodes[row]), nodes[row].alias)
    )
    return _Table(columns, order, "node")


def _busy_share(node: NodeSight) -> float:
    return node.load.cpu or 0.0 if node.load else 0.0


def _cpu(node: NodeSight) -> str:
    if node.load is None or node.load.cpu is None:
        return "-"
    cores = f" of {node.load.cores:g}" if node.load.cores else ""
    return f"{_percent(node.load.cpu)}{cores}"


def _load(node: NodeSight) -> str:
    return "-" if node.load is None or node.load.load is None else f"{node.load.load:.1f}"


def _disk(node: NodeSight) -> str:
    """Return the fullest disk."""
    disks = [disk for disk in (node.load.disks if node.load else ()) if disk.total and disk.used is not None]
    if not disks:
        return "-"
    fullest = max(disks, key=lambda disk: (disk.used or 0) / (disk.total or 1))
    return f"{_space(fullest)} {fullest.name}"


def _gpus(node: NodeSight) -> str:
    """Return the mean of all, and their memory together."""
    gpus = node.load.gpus if node.load else ()
    if not gpus:
        return "-"
    busy = [gpu.busy for gpu in gpus if gpu.busy is not None]
    share = f" {_percent(sum(busy) / len(busy))}" if busy else ""
    used, total = sum(gpu.used or 0 for gpu in gpus), sum(gpu.total or 0 for gpu in gpus)
    return f"{len(gpus)}:{share} {_sizes(used, total)}"


def _state(node: NodeSight) -> str:
    if node.silent_s is None:
        return node.state if node.load or node.state != "running" else "not heard yet"
    return f"silent for {format_span(node.silent_s)}: {node.trouble}"


def _engines(sight: Sight) -> _Table:
    engines = sight.engines
    columns = [
        _Column("ENGINE", [str(engine.number) for engine in engines]),
        _Column("NODE", [engine.node or "-" for engine in engines], 1),
        _Column("STATE", [engine.state for engine in engines]),
        _Column("SINCE", [_since(engine) for engine in engines]),
        _Column("TASK", [_task(engine) for engine in engines], 2),
        _Column("GIVEN", [str(engine.work.tasks) if engine.work else "-" for engine in engines], 3),
    ]
    ranks = {MISSING: 0, BUSY: 1, IDLE: 2}
    order = sorted(
        range(len(engines)),
        key=lambda row: (
            ranks[engines[row].state],
            -((engines[row].work.seconds or 0.0) if engines[row].work else 0.0),  # type: ignore[union-attr]
        ),
    )
    return _Table(columns, order, "engine")


def _since(engine: EngineSight) -> str:
    return "-" if engine.work is None or engine.work.seconds is None else format_span(engine.work.seconds)


def _task(engine: EngineSight) -> str:
    if engine.work is None or not engine.work.kind:
        return "-"
    return f"{_KINDS.get(engine.work.kind, engine.work.kind)} of {engine.work.client[:8]}"


def _maps(sight: Sight) -> _Table:
    maps = sight.maps
    columns = [
        _Column("MAP", [one.status.name for one in maps]),
        _Column("STATE", [one.status.state for one in maps], 1),
        _Column("DONE", [f"{one.status.done} of {one.status.total}" for one in maps]),
        _Column("A SECOND", ["-" if one.rate is None else format_rate(one.rate) for one in maps], 2),
        _Column("LEFT", [_left(one) for one in maps], 3),
        _Column("", [one.status.detail for one in maps], 4),
    ]
    return _Table(columns, range(len(maps)), "map")


def _left(one: MapSight) -> str:
    items = one.status.total - one.status.done
    return format_span(items / one.rate) if one.rate and items / one.rate < 1e8 else "-"


def _jobs(sight: Sight) -> _Table:
    jobs, now_s = sight.jobs, utc_now().timestamp()
    began = [job.began if job.began is not None else job.created for job in jobs]
    columns = [
        _Column("JOB", [job.id for job in jobs]),
        _Column("STATE", [job.state for job in jobs]),
        _Column("NODE", [job.node for job in jobs], 1),
        _Column("CORES", [str(job.cores) for job in jobs], 3),
        _Column("TIME", [format_span(max(0.0, now_s - at)) for at in began], 2),
        _Column("WHAT", [f"{job.name}: {job.words}" if job.name else job.words for job in jobs], 4),
    ]
    return _Table(columns, range(len(jobs)), "job")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _space(space: Space | None) -> str:
    return "-" if space is None or space.used is None or space.total is None else _sizes(space.used, space.total)


def _sizes(used: int, total: int) -> str:
    """Return two sizes in the unit of the second: ``3.2/7.8 GB``."""
    power = 0
    while total >= 1000 ** (power + 1) and power + 1 < len(_UNITS):
        power += 1
    places = 1 if total < 100 * 1000**power and power else 0
    return f"{used / 1000**power:.{places}f}/{total / 1000**power:.{places}f} {_UNITS[power]}"
