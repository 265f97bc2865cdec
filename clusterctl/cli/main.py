"""The `clusterctl` command. It finds the subcommand, imports only what that needs, and prints errors as two lines."""

from __future__ import annotations

import atexit
import gc
import importlib
import itertools
import os
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from clusterctl import __version__
from clusterctl.cli.commands import COMMANDS, all_names, entry_named, suggest_command
from clusterctl.cli.standard_streams import OutputError, drop_output, prepare_streams
from clusterctl.cli.terminal import echo
from clusterctl.errors import ClusterctlError, DeclinedError, UsageError
from clusterctl.laptop.signals import END_SIGNALS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@dataclass
class GlobalOptions:
    """The global options; commands get them as `ctx.obj`."""

    config: str | None = None
    debug: bool = False


class Commands(click.Group):
    """The commands of the table. Each is imported when it is used, and none to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of a cluster's life."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command with this name, which may be StarCluster's name for it."""
        del ctx
        entry = entry_named(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"clusterctl.cli.{entry.module}"), entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands."""
        del ctx
        limit = formatter.width - 6 - max(map(len, COMMANDS))
        rows = [
            (name, click.Command(name, help=entry.summary).get_short_help_str(limit))
            for name, entry in COMMANDS.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so."""
        from click.shell_completion import CompletionItem  # click loads it for a TAB alone

        entries = {name: entry for name, entry in COMMANDS.items() if name.startswith(incomplete)}
        names = [CompletionItem(name, help=entry.summary) for name, entry in entries.items()]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the command. For an unknown name, suggest what is probably meant."""
        try:
            name, command, words = super().resolve_command(ctx, args)
        except click.UsageError as exc:
            raise click.UsageError(f"No such command {args[0]!r}.{suggest_command(args[0])}", ctx) from exc
        if command is not None and not ctx.resilient_parsing:
            _refuse_empty_words(f"clusterctl {name}", _own_words(command, words))
        return name, command, words


def _own_words(command: click.Command, words: list[str]) -> list[str]:
    """Return the words for a command itself; those of a program that it runs may be what they like."""
    if any(parameter.type is click.UNPROCESSED for parameter in command.params):
        return words[: words.index("--")] if "--" in words else []
    return words


def _refuse_empty_words(where: str, words: list[str]) -> None:
    """Refuse a word that is empty: an empty path is the folder where one is, and each name begins with nothing."""
    options = [word[:-1] for word in words if word.startswith("--") and word.find("=") == len(word) - 1]
    if options or "" in words:
        what = f"{options[0]} has an empty value" if options else "one of the words is empty"
        raise UsageError(f"`{where}`: {what}", remedy="see whether a variable of your shell that is used there is set")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clusterctl")
@click.option(
    "-c",
    "--config",
    metavar="FILE",
    type=click.Path(),
    help="Config file; default: $CLUSTERCTL_CONFIG, else ~/.clusterctl/config.",
)
@click.option("-d", "--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, config: str | None, *, debug: bool) -> None:
    """Bring up an ipyparallel cluster with one command, and connect to it.

    \b
    clusterctl start -s 3 mycluster      three nodes, engines, and the lines to connect
    clusterctl list                      what is up
    clusterctl terminate mycluster       end it
    """
    _refuse_empty_words("clusterctl --config", [] if config is None else [config])
    ctx.obj = GlobalOptions(config, debug or bool(os.environ.get("CLUSTERCTL_DEBUG")))


def main() -> NoReturn:
    """Run the command and exit: 0 done, 1 failed, 2 something to fix in the file or the command line, 3 declined."""
    # Nearly all objects of a command are modules, which stay. Searching them for garbage takes a tenth of its time, and
    # as much again at its end, when the user has the answer.
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    # A shutdown of the machine or a closed terminal ends us as Ctrl-C does: what was begun is undone.
    for number in END_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    prepare_streams()
    debug = _wants_debug(sys.argv[1:])
    try:
        status = cli.main(prog_name="clusterctl", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except DeclinedError as exc:
        echo(exc.message, err=True)
        sys.exit(exc.exit_code)
    except ClusterctlError as exc:
        if isinstance(exc, OutputError):
            drop_output()
        _print_error(exc, debug=debug)
        sys.exit(exc.exit_code)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        ctx = getattr(exc, "ctx", None)
        echo(f"error: {exc.format_message()}", err=True)
        echo(f"try: `{ctx.command_path if ctx else 'clusterctl'} --help`", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort) as exc:
        echo("interrupted", err=True)
        # click raises its own Abort from the KeyboardInterrupt, and the KeyboardInterrupt carries the notes.
        for cause in (exc, exc.__cause__):
            for note in getattr(cause, "__notes__", ()):
                echo(f"note: {note}", err=True)
        sys.exit(130)
    except BrokenPipeError:
        drop_output()
        sys.exit(1)
    except Exception as exc:  # noqa: BLE001  the last resort: a bug must not look like the user's fault
        if isinstance(exc, FileNotFoundError) and _is_nowhere():
            remedy = "go to one that is there, with `cd`, and say it again"
            _print_error(UsageError("the folder where you are was deleted", remedy=remedy), debug=debug)
            sys.exit(UsageError.exit_code)
        _report_bug(exc, debug=debug)
        sys.exit(1)


def _is_nowhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _wants_debug(words: list[str]) -> bool:
    """Return whether -d or --debug stands before the subcommand, which may have a -d of its own."""
    commands = set(all_names())
    global_words = itertools.takewhile(lambda word: word not in commands, words)
    return bool({"-d", "--debug"} & set(global_words)) or bool(os.environ.get("CLUSTERCTL_DEBUG"))


def _print_error(exc: ClusterctlError, *, debug: bool) -> None:
    if debug:
        echo("".join(traceback.format_exception(exc)).rstrip("\n"), err=True)
    lines = exc.message.splitlines() or [""]
    for line in lines if exc.exit_code == 2 else lines[:1]:
        echo(f"error: {line}", err=True)
    for line in () if exc.exit_code == 2 else lines[1:]:
        echo(f"       {line}", err=True)
    for note in getattr(exc, "__notes__", ()):
        echo(f"note: {note}", err=True)
    echo(f"try: {exc.remedy}", err=True)


def _report_bug(exc: Exception, *, debug: bool) -> None:
    text = "".join(traceback.format_exception(exc))
    if debug:
        echo(text.rstrip("\n"), err=True)
    with tempfile.NamedTemporaryFile("w", prefix="clusterctl-bug-", suffix=".txt", delete=False) as log:
        log.write(f"clusterctl {__version__}, Python {sys.version}\n{text}")
    echo(f"error: this is a bug in clusterctl: {type(exc).__name__}: {exc}", err=True)
    echo(f"try: report it with {Path(log.name)}, which has the traceback", err=True)


if __name__ == "__main__":
    main()
