"""The output of commands: progress bars on a terminal, plain ``>>>`` lines elsewhere, tables, and JSON."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.needed import line_with
from clusterctl.cli.standard_streams import OutputError
from clusterctl.cli.terminal import echo
from clusterctl.errors import DeclinedError, UsageError
from clusterctl.events import Narrator
from clusterctl.secret import Secret
from clusterctl.text import clean_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from clusterctl.events import Event
    from clusterctl.tunnel.publish import LocalEndpoint


class _KeptForTheAnswer:
    """Sends to stderr whatever plugins, and programs that they start, print on stdout meanwhile."""

    def begin(self) -> None:
        self._stream, sys.stdout = sys.stdout, sys.stderr
        self._copy = None
        with suppress(OSError, ValueError):  # a stream of a test, or none at all
            descriptor, other = self._stream.fileno(), sys.stderr.fileno()
            self._stream.flush()
            self._copy = os.dup(descriptor)
            os.dup2(other, descriptor)

    def write(self, text: str) -> None:
        if self._copy is not None:
            os.write(self._copy, text.encode())
        else:
            self._stream.write(text)

    def end(self) -> None:
        if self._copy is not None:
            os.dup2(self._copy, self._stream.fileno())
            os.close(self._copy)
        sys.stdout = self._stream


class Output(Narrator):
    """Shows the events of an operation. Use it as a context manager around the operation.

    With `as_json` the events go to stderr, so that stdout has only the answer.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self._file = sys.stderr if as_json else sys.stdout
        context = click.get_current_context(silent=True)
        self._debug = context is not None and context.obj is not None and context.obj.debug
        self._answer = _KeptForTheAnswer() if as_json else None
        self._unsaid: OutputError | BrokenPipeError | None = None
        """The first thing that could not be said, since nobody reads or there is no room: it is raised at the end."""
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Output:
        if self._answer:
            self._answer.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        with self._lock:
            self._stop_bars()
        if self._answer:
            self._answer.end()
        if self._unsaid is not None and kind is None:
            if isinstance(self._unsaid, OutputError):
                self._unsaid.remedy += "; what was to be done is done"
            raise self._unsaid

    def _try_to_say(self, say: Callable[[str], object], text: str) -> None:
        """Say it if that can be. If not, the operation goes on: nobody shall pay for machines since a disk is full."""
        try:
            say(text)
        except (OutputError, BrokenPipeError) as exc:
            self._unsaid = self._unsaid or exc
        except OSError as exc:
            self._unsaid = self._unsaid or OutputError(exc)

    def answer_line(self, value: object) -> None:
        """Print a part of the answer, as a line of JSON, while the operation goes on. Only with `as_json`."""
        if self._answer:
            self._try_to_say(self._answer.write, json.dumps(value, default=_to_json) + "\n")

    def _show_trace(self, text: str) -> None:
        if self._debug:
            self._print_line(text, err=True)

    def _print_line(self, text: str, *, err: bool = False) -> None:
        if self._progress is not None:
            show = partial(self._progress.console.print, markup=False, highlight=False, soft_wrap=True)
            self._try_to_say(show, clean_lines(text))
        else:
            self._try_to_say(partial(echo, file=sys.stderr if err else self._file), text)

    def _show_progress(self, event: Event) -> None:
        if not self._file.isatty():
            super()._show_progress(event)
            return
        if self._progress is None:
            self._progress = _make_progress(self._file)
            self._progress.start()
        if event.text not in self._bars:
            self._bars[event.text] = self._progress.add_task(f">>> {clean_lines(event.text)}", total=event.total)
        self._progress.update(self._bars[event.text], completed=event.done, total=event.total)

    def _stop_bars(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._bars.clear()


def _make_progress(file: Any) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(file=file))


@contextmanager
def own_screen() -> Iterator[Callable[[Callable[[int, int], Sequence[str]]], None]]:
    """Have the terminal to ourselves until the end of the block, and give it back as it was.

    Yields what shows a screen: it is given what returns its lines, for so many columns and rows.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(draw: Callable[[int, int], Sequence[str]]) -> None:
            lines = draw(*console.size)
            live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)

        yield show


def show_json(value: object) -> None:
    """Print an answer for programs. Its secrets are shown, since their owner asks."""
    click.echo(json.dumps(value, indent=2, default=_to_json))


def _to_json(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    return str(value)


def connections_json(published: Sequence[LocalEndpoint]) -> list[dict[str, object]]:
    """Return the connections of all plugins for an answer to programs."""
    return [
        {"name": one.name, "url": one.url, "file": one.file, "ports": dict(one.ports), "summary": one.summary}
        for one in published
    ]


def show_connections(published: Sequence[LocalEndpoint]) -> None:
    """Print where each connection of a plugin is."""
    for one in published:
        echo(f"  {one.name}: {one.place}")


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns at any width of the terminal: one line a row, so that grep works."""
    for line in format_table(headings, rows):
        echo(line)


def format_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table with aligned columns."""
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def show_items(items: Sequence[Any], columns: Mapping[str, str], *, as_json: bool, none: str) -> None:
    """Print frozen dataclasses, whole as JSON, or some of their fields as a table.

    Args:
        items: the dataclasses, one for each row.
        columns: headings by field.
        as_json: whether to print JSON, for programs.
        none: the text for no items.
    """
    if as_json:
        show_json([asdict(item) for item in items])
    elif not items:
        echo(none)
    else:
        rows = [[getattr(item, name) or "-" for name in columns] for item in items]
        show_table(list(columns.values()), rows)


def confirm_or_decline(question: str, *, yes: bool, err: bool = False) -> None:
    """Ask, unless `yes`, on stderr if `err`. A no, or no terminal to answer on, ends the command.

    The question says what goes or what it costs. Nothing may have been changed before it.

    Raises:
        DeclinedError: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        problem = f"{question} Nobody is here to answer: add --yes to say so beforehand."
        raise UsageError(problem, remedy=line_with("--yes"))
    if not click.confirm(clean_lines(question), err=err):
        raise DeclinedError("nothing was changed", remedy="run the same command again, and answer y")
