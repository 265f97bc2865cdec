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
from typing import NoReturn

import click

from clusterctl import __version__
from clusterctl.errors import ClusterctlError
from clusterctl.laptop.signals import END_SIGNALS

# Name: (module below clusterctl.cli, attribute, StarCluster's other names for it)
COMMANDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "start": ("clusters.start", "start", ()),
    "stop": ("clusters.lifecycle", "stop", ()),
    "restart": ("clusters.lifecycle", "restart", ("reboot",)),
    "terminate": ("clusters.lifecycle", "terminate", ()),
    "addnode": ("clusters.members", "addnode", ("an",)),
    "removenode": ("clusters.members", "removenode", ("rn",)),
    "listclusters": ("clusters.inspect", "listclusters", ("list", "lc")),
    "status": ("clusters.inspect", "status", ()),
    "logs": ("clusters.inspect", "logs", ()),
    "runplugin": ("nodes.plugins", "runplugin", ("rp",)),
    "plugins": ("nodes.plugins", "plugins", ()),
    "sshmaster": ("nodes.access", "sshmaster", ("sm",)),
    "sshnode": ("nodes.access", "sshnode", ("sn",)),
    "exec": ("nodes.access", "exec_", ()),
    "allow-me": ("nodes.firewall", "allow_me", ()),
    "put": ("nodes.access", "put", ()),
    "get": ("nodes.access", "get", ()),
    "tunnel": ("nodes.client", "tunnel", ()),
    "connect": ("nodes.client", "connect", ("shell", "sh")),
    "notebook": ("nodes.client", "notebook", ()),
    "image": ("setup.image", "image", ()),
    "gc": ("aws.gc", "gc", ()),
    "listinstances": ("aws.instances", "listinstances", ("lsi",)),
    "listspots": ("aws.instances", "listspots", ("ls",)),
    "spothistory": ("aws.spothistory", "spothistory", ("shi",)),
    "showconsole": ("aws.instances", "showconsole", ("sc",)),
    "listregions": ("aws.catalog", "listregions", ("lr",)),
    "listzones": ("aws.catalog", "listzones", ("lz",)),
    "listimages": ("aws.catalog", "listimages", ("li",)),
    "listkeypairs": ("aws.keypairs", "listkeypairs", ("lk",)),
    "createkey": ("aws.keypairs", "createkey", ("ck",)),
    "removekey": ("aws.keypairs", "removekey", ("rk",)),
    "listvolumes": ("aws.volumes", "listvolumes", ("lv",)),
    "createvolume": ("aws.volumes", "createvolume", ("cv",)),
    "resizevolume": ("aws.volumes", "resizevolume", ("res",)),
    "removevolume": ("aws.volumes", "removevolume", ("rv",)),
    "selftest": ("aws.selftest", "selftest", ()),
    "config": ("setup.config", "config", ()),
    "completion": ("setup.completion", "completion", ()),
}


@dataclass
class GlobalOptions:
    """The global options; commands get them as `ctx.obj`."""

    config: str | None = None
    debug: bool = False


class Commands(click.Group):
    """The subcommands. Each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of a cluster's life."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command with this name, which may be StarCluster's name for it."""
        del ctx
        for name, (module, attribute, aliases) in COMMANDS.items():
            if cmd_name in {name, *aliases}:
                command: click.Command = getattr(importlib.import_module(f"clusterctl.cli.{module}"), attribute)
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the command. For an unknown name, suggest the nearest one that exists."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            from difflib import get_close_matches

            names = [*COMMANDS, *(alias for _, _, aliases in COMMANDS.values() for alias in aliases)]
            # `lsit` is nearer to `lsi` but means `list`: a user who types four letters does not mean a short name.
            near = get_close_matches(args[0], [name for name in names if len(name) > 3], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(exc.message + hint, ctx) from exc


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clusterctl")
@click.option(
    "-c",
    "--config",
    metavar="FILE",
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
    ctx.obj = GlobalOptions(config, debug or bool(os.environ.get("CLUSTERCTL_DEBUG")))


def main() -> NoReturn:
    """Run the command and exit: 0 done, 1 failed, 2 something to fix in the file or the command line."""
    # Nearly all objects of a command are modules, which stay. Searching them for garbage takes a tenth of its time, and
    # as much again at its end, when the user has the answer.
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    # A shutdown of the machine or a closed terminal ends us as Ctrl-C does: what was begun is undone.
    for number in END_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    debug = _wants_debug(sys.argv[1:])
    try:
        status = cli.main(prog_name="clusterctl", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except ClusterctlError as exc:
        _print_error(exc, debug=debug)
        sys.exit(exc.exit_code)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        ctx = getattr(exc, "ctx", None)
        click.echo(f"error: {exc.format_message()}", err=True)
        click.echo(f"try: `{ctx.command_path if ctx else 'clusterctl'} --help`", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort) as exc:
        click.echo("interrupted", err=True)
        # click raises its own Abort from the KeyboardInterrupt, and the KeyboardInterrupt carries the notes.
        for cause in (exc, exc.__cause__):
            for note in getattr(cause, "__notes__", ()):
                click.echo(f"note: {note}", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone. Python would report this once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as exc:  # noqa: BLE001  the last resort: a bug must not look like the user's fault
        _report_bug(exc, debug=debug)
        sys.exit(1)


def _wants_debug(words: list[str]) -> bool:
    """Return whether -d or --debug stands before the subcommand, which may have a -d of its own."""
    commands = {alias for name, (_, _, aliases) in COMMANDS.items() for alias in (name, *aliases)}
    global_words = itertools.takewhile(lambda word: word not in commands, words)
    return bool({"-d", "--debug"} & set(global_words)) or bool(os.environ.get("CLUSTERCTL_DEBUG"))


def _print_error(exc: ClusterctlError, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(exc)
    lines = exc.message.splitlines() or [""]
    for line in lines if exc.exit_code == 2 else lines[:1]:
        click.echo(f"error: {line}", err=True)
    for line in () if exc.exit_code == 2 else lines[1:]:
        click.echo(f"       {line}", err=True)
    for note in getattr(exc, "__notes__", ()):
        click.echo(f"note: {note}", err=True)
    click.echo(f"try: {exc.remedy}", err=True)


def _report_bug(exc: Exception, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(exc)
    text = "".join(traceback.format_exception(exc))
    with tempfile.NamedTemporaryFile("w", prefix="clusterctl-bug-", suffix=".txt", delete=False) as log:
        log.write(f"clusterctl {__version__}, Python {sys.version}\n{text}")
    click.echo(f"error: this is a bug in clusterctl: {type(exc).__name__}: {exc}", err=True)
    click.echo(f"try: report it with {Path(log.name)}, which has the traceback", err=True)


if __name__ == "__main__":
    main()
