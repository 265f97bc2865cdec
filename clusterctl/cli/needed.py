"""Arguments that a command cannot do without: what is said where one is missing, and the whole line to type."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

F = TypeVar("F", bound=Callable[..., Any])
_LISTED = 12
"""Names that one message lists, at most."""
_NEW_NAME = "mycluster"


class CompletedName(click.ParamType[str]):
    """A name that the shell can complete, and that a message can list."""

    def __init__(self, name: str, find: Callable[[click.Context, str], Iterable[str]]) -> None:
        """Say what it is the name of.

        Args:
            name: the kind of thing, as messages call it.
            find: returns the names that there are; it is given what has been typed so far.
        """
        self.name = name
        self._find = find

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so."""
        del param
        return [CompletionItem(name) for name in self._find(ctx, incomplete) if name.startswith(incomplete)]

    def list_names(self, ctx: click.Context) -> list[str]:
        """Return all names that there are."""
        return list(self._find(ctx, ""))


class Needed(click.Argument):
    """An argument that must be there."""

    def __init__(self, param_decls: Sequence[str], *, example: str, listed_by: str = "", **attrs: Any) -> None:
        """Declare it.

        Args:
            param_decls: its name, as click has it.
            example: what somebody may type for it; for `LOCAL... REMOTE` at least as many words.
            listed_by: the command that shows what there is, if it takes more than this computer's files to know.
            attrs: what click takes besides.
        """
        super().__init__(param_decls, required=True, **attrs)
        self.example = example.split()
        self.listed_by = listed_by

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value, or say what is missing."""
        typed = _as_words(value)
        if len(typed) < len(self.metavars(ctx)):
            raise describe_missing(ctx, [*_typed_before(ctx), *typed])
        return super().process_value(ctx, value)

    def metavars(self, ctx: click.Context) -> list[str]:
        """Return what the help calls it: a word for each word that it takes at least."""
        return self.make_metavar(ctx).split()

    def names(self, ctx: click.Context) -> list[str]:
        """Return what there is to name, as far as this computer's files tell."""
        return self.type.list_names(ctx) if isinstance(self.type, CompletedName) else []

    @property
    def is_cluster(self) -> bool:
        """Whether it names clusters that this computer may know."""
        return isinstance(self.type, CompletedName) and self.type.name == "cluster"


class NeededOption(click.Option):
    """An option that must be there."""

    def __init__(self, param_decls: Sequence[str], *, example: str, **attrs: Any) -> None:
        """Declare it. `example` is a value that somebody may type for it."""
        super().__init__(param_decls, required=True, **attrs)
        self.example = example

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value, or say that it is missing."""
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter:
            raise describe_missing(ctx, _typed_before(ctx)) from None


def needed(name: str, *, example: str, **attrs: Any) -> Callable[[F], F]:
    """Add an argument that must be there. See `Needed`."""
    return click.argument(name, cls=Needed, example=example, **attrs)


def describe_missing(ctx: click.Context, typed: list[str]) -> UsageError:
    """Return the error that names what a command line lacks, what there is, and the whole line to type.

    Args:
        ctx: the command, with what was typed for its options.
        typed: the words for its arguments, in their order.
    """
    arguments = [one for one in ctx.command.params if isinstance(one, Needed)]
    clusters = next((one.names(ctx) for one in arguments if one.is_cluster), None)
    line = _Line(sys.argv[1:])
    if clusters is not None and typed and typed[0] not in clusters and typed[0] in line.words:
        typed = line.put_cluster_right(typed, clusters, has_room=len(arguments) > 1)
    for argument in arguments:
        count = len(typed) if argument.nargs == -1 else 1
        own, typed = typed[:count], typed[count:]
        line.complete(argument, ctx, own, clusters or [_NEW_NAME])
    for option in ctx.command.params:
        if isinstance(option, NeededOption) and ctx.params.get(option.name) is None:
            line.add(option.opts[:1], [option.opts[0], line.take_surplus(ctx) or option.example])
    return line.as_error(ctx, clusters)


@dataclass
class _Line:
    """A command line that is made whole."""

    words: list[str]
    missing: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def put_cluster_right(self, typed: list[str], clusters: list[str], *, has_room: bool) -> list[str]:
        """Have a cluster stand where another word does. Return the words for arguments, as they are then."""
        place = len(self.words) - 1 - self.words[::-1].index(typed[0])
        near = get_close_matches(typed[0], clusters, n=1)
        self.facts.append(f"no cluster here is called {typed[0]!r}")
        if near or not has_room:
            self.words[place] = (near or clusters or typed)[0]
            return [self.words[place], *typed[1:]]
        self.missing.append("CLUSTER")
        self.words.insert(place, (clusters or [_NEW_NAME])[0])
        return [self.words[place], *typed]

    def complete(self, argument: Needed, ctx: click.Context, typed: list[str], clusters: list[str]) -> None:
        """Add what is missing of an argument."""
        lacking = argument.metavars(ctx)[len(typed) :]
        if lacking and argument.is_cluster:
            self.add(lacking, clusters[:1])
        elif lacking:
            self.add(lacking, argument.example[len(typed) :])
            self.facts += _list_names(str(argument.type.name), argument.names(ctx))
            self.facts += [f"`clusterctl {argument.listed_by}` shows what there is"] if argument.listed_by else []

    def add(self, lacking: list[str], words: list[str]) -> None:
        """Add words for what is missing."""
        self.missing += lacking
        self.words += words

    def take_surplus(self, ctx: click.Context) -> str:
        """Take words out that no argument has room for. Return the first: it may be meant as an option's value."""
        begin = find_words(self.words, ctx)
        surplus = ctx.command.make_parser(ctx).parse_args(self.words[begin:])[1]
        for word in surplus:
            del self.words[len(self.words) - 1 - self.words[::-1].index(word)]
        return next(iter(surplus), "")

    def as_error(self, ctx: click.Context, clusters: list[str] | None) -> UsageError:
        """Return the error; `clusters` are those that there are, None if the command names none."""
        usage = [ctx.command_path, *(piece for piece in ctx.command.collect_usage_pieces(ctx) if piece != "[OPTIONS]")]
        lack = f"{' and '.join(self.missing)} {'is' if len(self.missing) == 1 else 'are'} missing"
        remedy = f"`{shlex.join(['clusterctl', *self.words])}`"
        if clusters is not None:
            self.facts += _list_names("cluster", clusters) or ["there is no cluster here yet"]
            remedy = remedy if clusters else f"`clusterctl start {_NEW_NAME}`, then {remedy}"
        return UsageError("; ".join([f"`{' '.join(usage)}`: {lack}", *self.facts]), remedy=remedy)


def find_words(line: Sequence[str], ctx: click.Context) -> int:
    """Return where in a line the words for a command begin: those behind its name."""
    names = ctx.command_path.split()[1:]
    return next((n + len(names) for n in range(len(line)) if list(line[n : n + len(names)]) == names), len(line))


def line_with(option: str) -> str:
    """Return the line that was typed, with an option more."""
    line, ctx = sys.argv[1:], click.get_current_context(silent=True)
    begin = find_words(line, ctx) if ctx else len(line)
    return f"`{shlex.join(['clusterctl', *line[:begin], option, *line[begin:]])}`"


def _list_names(kind: str, names: list[str]) -> list[str]:
    """Return a fact: the names that there are; none where there are none."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{kind}s here: {', '.join(names[:_LISTED])}{more}"] if names else []


def _typed_before(ctx: click.Context) -> list[str]:
    """Return the words for arguments that click has read so far."""
    values = [ctx.params.get(one.name) for one in ctx.command.params if isinstance(one, Needed)]
    return [word for value in values for word in _as_words(value)]


def _as_words(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [str(word) for word in value]
    return [str(value)] if isinstance(value, (str, int, PurePath)) else []
