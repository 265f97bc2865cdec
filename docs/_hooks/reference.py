"""Writes the reference pages from the code when the site is built, so that they cannot be out of date.

`pages()` needs nothing of mkdocs: the tests read the same text that the site shows.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl import api, errors
from clusterctl.cli.commands import COMMANDS
from clusterctl.cli.main import cli
from clusterctl.config import starcluster
from clusterctl.config.provider_options import providers_of
from clusterctl.config.settings import SECTION_MODELS, ClusterSection
from clusterctl.journal import ClusterFolder
from clusterctl.model import Layout
from clusterctl.plugin import hookspecs, loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic.fields import FieldInfo

    from clusterctl.options import Section

ROOT = Path(__file__).parents[2]
_OF_EC2 = ("key NAME", "permission NAME", "aws")


def pages() -> dict[str, str]:
    """Path below docs/ to Markdown."""
    return {
        "reference/commands.md": "\n".join(_commands()),
        "reference/options.md": "\n".join(_options()),
        "reference/hooks.md": "\n".join(_hooks()),
        "reference/api.md": "\n".join(_api()),
        "reference/files.md": "\n".join(_files()),
        "reference/exit-codes.md": "\n".join(_exit_codes()),
    }


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs: the pages join those of the folder."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs: fill the marked places of the pages written by hand."""
    return filled(markdown)


def filled(markdown: str) -> str:
    """The text with each ``<!-- code: NAME -->`` replaced by what the code says."""
    for name, make in _MARKS.items():
        mark = f"<!-- code: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, "\n".join(make()))
    return markdown


def _mapping(heading: tuple[str, str], entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {heading[0]} | {heading[1]} |"
    yield "|---|---|"
    for left, right in entries:
        yield f"| `{_cell(left)}` | {_cell(right)} |"


def _coded(table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((key, f"`{value}`") for key, value in table.items())


def _no_effect() -> Iterator[tuple[str, str]]:
    for (kind, key), why in starcluster.NO_EFFECT.items():
        yield f"[{kind.replace('plugin:', 'plugin ')}] {key.upper()}", why


def _every_hook() -> Iterator[str]:
    sample = ROOT / "tests" / "support" / "every_hook.py"
    if sample.exists():
        yield "```python"
        yield sample.read_text(encoding="utf-8").rstrip()
        yield "```"


_MARKS = {
    "plugins": lambda: _mapping(("StarCluster's class", "plugin"), _coded(starcluster.PLUGINS)),
    "no plugin": lambda: _mapping(("class that begins with", "instead"), starcluster.NO_PLUGIN.items()),
    "no effect": lambda: _mapping(("line", "why it has no effect any more"), _no_effect()),
    "types": lambda: _mapping(("retired type", "is read as"), _coded(starcluster.INSTANCE_TYPES)),
    "packages": lambda: _mapping(("package", "is read as"), _coded(starcluster.PACKAGES)),
    "every hook": _every_hook,
}


# --- commands


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "Made from the program itself. `clusterctl COMMAND --help` says the same on a terminal."
    yield ""
    context = click.Context(cli, info_name="clusterctl", help_option_names=["-h", "--help"])
    yield from _command("clusterctl", cli, context, (), level=2)
    for name, entry in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        yield from _command(name, command, click.Context(command, context, name), entry.aliases, level=2)
        if isinstance(command, click.Group):
            parent = click.Context(command, context, name)
            for below, sub in command.commands.items():
                yield from _command(f"{name} {below}", sub, click.Context(sub, parent, below), (), level=3)


def _command(
    title: str, command: click.Command, context: click.Context, aliases: Iterable[str], *, level: int
) -> Iterator[str]:
    yield f"{'#' * level} {title}"
    yield ""
    yield "```text"
    yield context.get_usage().removeprefix("Usage: ")
    yield "```"
    yield ""
    yield _help(command.help or "")
    yield ""
    if aliases:
        yield f"Also: {', '.join(f'`clusterctl {alias}`' for alias in aliases)}."
        yield ""
    records = [p.get_help_record(context) for p in command.get_params(context) if isinstance(p, click.Option)]
    yield "| option | meaning |"
    yield "|---|---|"
    for record in records:
        if record:
            yield f"| `{_cell(record[0])}` | {_cell(record[1])} |"
    yield ""


def _help(text: str) -> str:
    """A command's help as Markdown: what click keeps as it is (after a \\b) becomes a block of code."""
    parts = inspect.cleandoc(text).split("\n\n")
    shown = []
    for part in parts:
        kept = part.removeprefix("\b\n")
        shown.append(f"```text\n{kept}\n```" if kept != part else part)
    return "\n\n".join(shown)


# --- options


def _options() -> Iterator[str]:
    yield "# Options of the config file"
    yield ""
    yield "Made from the models that check the file. Option names are the same in upper and lower case."
    yield "`clusterctl config init` writes all of them, commented, into a file; `config.example.ini` is that file."
    yield ""
    for title, model in SECTION_MODELS.items():
        yield f"## [{title}]"
        yield ""
        yield inspect.getdoc(model) or ""
        yield ""
        if model is ClusterSection:
            yield "Each can be set for one run by the environment: `CLUSTERCTL_` and the option's name,"
            yield "but for `EXTENDS`. Where an option acts with some providers only, they are named."
            yield ""
        elif title in _OF_EC2:
            yield "It acts with the provider [`ec2`](../howto/ec2.md)."
            yield ""
        yield from _table(model)
    for name, plugin in loader.installed_plugins("clusterctl").items():
        yield f"## [plugin {name}]"
        yield ""
        yield inspect.getdoc(plugin) or ""
        yield ""
        yield from _table(loader.options_model(plugin))


def _table(model: type[Section]) -> Iterator[str]:
    if not model.model_fields:
        yield "No options."
        yield ""
        return
    yield "| option | meaning | default | example |"
    yield "|---|---|---|---|"
    for key, field in model.model_fields.items():
        there = providers_of(key) if model is ClusterSection else ()
        mark = f" *({', '.join(there)})*" if there else ""
        example = f"`{_cell(str(field.examples[0]))}`" if field.examples else ""
        yield f"| `{key.upper()}` | {_cell(field.description or '')}{mark} | {_default(field)} | {example} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if isinstance(value, str | int) and value != "" else ""


# --- hooks and the api


def _hooks() -> Iterator[str]:
    yield "# Hooks"
    yield ""
    yield "Made from `clusterctl/plugin/hookspecs.py`, in the order in which they come."
    yield "[Write a plugin](../howto/plugin.md) shows them at work."
    yield "An implementation takes only the arguments that it uses."
    yield ""
    for name, function in vars(hookspecs).items():
        if name.startswith("clusterctl_"):
            yield f"## {name}"
            yield ""
            yield f"```python\ndef {name}{_signature(function)}\n```"
            yield ""
            yield inspect.getdoc(function) or ""
            yield ""


def _api() -> Iterator[str]:
    yield "# What a plugin may import"
    yield ""
    yield "All of it is in `clusterctl.api`; made from there. Nothing else of clusterctl is promised to stay."
    yield ""
    for name in api.__all__:
        thing = getattr(api, name)
        yield f"## {name}"
        yield ""
        yield from _thing(thing)


def _thing(thing: Any) -> Iterator[str]:
    if inspect.ismodule(thing):
        yield inspect.getdoc(thing) or ""
        yield ""
        for name, function in vars(thing).items():
            own = inspect.isfunction(function) and function.__module__ == thing.__name__
            if own and not name.startswith("_"):
                yield f"- `{name}{_signature(function)}`: {_first(function)}"
        yield ""
    elif inspect.isclass(thing):
        yield _doc(thing)
        yield ""
        yield from _attributes(thing)
        for name, method in vars(thing).items():
            if not name.startswith("_") and inspect.isfunction(method) and method.__doc__:
                yield f"- `{name}{_signature(method)}`: {_first(method)}"
        yield ""
    elif inspect.isfunction(thing) and thing.__module__.startswith("clusterctl"):
        yield f"`{thing.__name__}{_signature(thing)}`"
        yield ""
        yield _doc(thing)
        yield ""
    else:
        yield _NAMED.get(id(thing), "")
        yield ""


_NAMED = {
    id(api.CommaList): "A type of an option: `a, b, c`, over several lines if they are indented.",
    id(api.ExpandedPath): "A type of an option: a path on the laptop; `~` and `$VARS` are expanded.",
    id(api.Flag): "A type of an option: yes/no, on/off, true/false or 1/0, in any case.",
    id(api.PathList): "A type of an option: paths on the laptop, separated by commas.",
    id(api.SecretText): "A type of an option: a text that is never shown.",
    id(api.Field): "pydantic's `Field`: the default, bounds and description of an option.",
    id(api.hookimpl): "pluggy's marker: put it before each hook that your class implements.",
}


def _attributes(thing: type) -> Iterator[str]:
    """The fields of a class and what the text below each says."""
    try:
        found = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError):
        return
    body = found.body if isinstance(found, ast.ClassDef) else []
    for line, after in zip(body, [*body[1:], None], strict=True):
        said = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            said = f": {' '.join(str(after.value.value).split()).replace('``', '`')}"
        name = ast.unparse(line.target) if isinstance(line, ast.AnnAssign) else ""
        if isinstance(line, ast.AnnAssign) and not name.startswith("_"):
            yield f"- `{name}` (`{ast.unparse(line.annotation)}`){said}"
        elif isinstance(line, ast.Assign) and said:  # a member of an enumeration
            yield f"- `{ast.unparse(line.targets[0])}`{said}"
    yield ""


def _signature(function: Any) -> str:
    found = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(found, ast.FunctionDef)
    found.args.args = [argument for argument in found.args.args if argument.arg != "self"]
    returns = f" -> {ast.unparse(found.returns)}" if found.returns else ""
    return f"({ast.unparse(found.args)}){returns}"


def _doc(thing: Any) -> str:
    """A docstring as Markdown: its ``Args:`` become a list."""
    lines = []
    for line in (inspect.getdoc(thing) or "").replace("``", "`").splitlines():
        head, colon, rest = line.strip().partition(": ")
        if line.rstrip() in {"Args:", "Raises:", "Attributes:"}:
            lines += [f"{line.strip()}", ""]
        elif line.startswith("    ") and not line.startswith("     ") and colon and head.isidentifier():
            lines.append(f"- `{head}`: {rest}")
        else:
            lines.append(line.removesuffix(":") if line.endswith("::") else line)
    return "\n".join(lines)


# --- files and exit codes


def _files() -> Iterator[str]:
    yield "# Files"
    yield ""
    yield "## On the laptop"
    yield ""
    yield "Everything is below `$CLUSTERCTL_HOME`, by default `~/.clusterctl`; `config` in it is the config file."
    yield "`past/` has, for each cluster on EC2 that has ended, what `clusterctl cost` makes its bill of."
    yield ""
    yield "`ended.txt` has the names of clusters that were ended, so that to end one again is a success."
    yield "Each cluster has a folder `clusters/NAME/`, closed to other users (0700); files with secrets are 0600."
    yield ""
    yield "| in `clusters/NAME/` | what it is |"
    yield "|---|---|"
    for path, said in (
        ("journal.jsonl", f"what was asked for. {_first(ClusterFolder.journal_file)}"),
        (
            "config.json",
            "what the last `start` used of the config, without secrets: it ends the cluster",
        ),
        ("id_ed25519, id_ed25519.pub", f"{_first(ClusterFolder.private_key_file)}"),
        ("known_hosts", f"{_first(ClusterFolder.known_hosts_file)}"),
        ("client.json", "the connection file for `ipyparallel.Client`; it lets its reader in"),
        ("engine.json", "the connection file that engines get"),
        ("connections.json", "what `start` published: the connection files and the notebook's URL"),
        ("lock-HASH.txt", "the versions of all packages, as uv resolved them"),
        ("logs/NODE.log", _first(ClusterFolder.log_file)),
        ("timings.json", "who waited for what in the last `start`"),
        ("tunnel.json, tunnel.pid", "the tunnel's forwards and its process, where one is needed"),
        ("lock", "held while a command changes the cluster"),
    ):
        yield f"| `{path}` | {_cell(said)} |"
    yield ""
    yield "`clusterctl terminate NAME` deletes the folder."
    yield ""
    yield "## On a node"
    yield ""
    yield "A plugin gets these paths as `node.layout`."
    yield ""
    yield from _attributes(Layout)
    yield ""
    yield "With the provider `local` they are below `$CLUSTERCTL_HOME/local/NAME/NODE/`, but for the home, which is"
    yield "`$CLUSTERCTL_HOME/local/NAME/home`, the sockets, which are in the folder for temporary files, and the"
    yield "built environments, which all clusters share. See [what it changes on your machine](../machine.md)."
    yield ""
    yield "A service's log is `NAME-NUMBER.log` in `logs`: `controller-0.log`, `engine-3.log`, `notebook-0.log`."
    yield ""


def _first(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("``", "`")


def _exit_codes() -> Iterator[str]:
    yield "# Exit codes"
    yield ""
    yield "| code | when |"
    yield "|---|---|"
    yield "| 0 | done; what was asked for already being so is also 0 |"
    for code in (1, 2):
        kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.exit_code == code]
        said = [f"`{kind.__name__}`: {_first(kind)}" for kind in kinds if kind is not errors.ClusterctlError]
        what = {1: "it failed, or not all of it was done", 2: "the command line or the config file is to be corrected"}
        yield f"| {code} | {what[code]}<br>{'<br>'.join(said)} |"
    yield f"| {errors.DeclinedError.exit_code} | `DeclinedError`: {_first(errors.DeclinedError)} |"
    yield "| 130 | interrupted by Ctrl-C, or by SIGTERM or SIGHUP |"
    yield ""
    yield "Three commands pass on the status of what they ran: `sshmaster` and `sshnode` that of the remote command,"
    yield "`exec` the highest of all nodes, where 255 stands for a node that could not be reached."
    yield "`status` exits with 1 when something is not as it should be, and `start` and `addnode` when fewer than"
    yield "`MIN_SIZE` nodes are members or something else went wrong that was reported."
    yield ""
    yield "An error is two lines on stderr: `error:` says what happened and `try:` what to do now. With `-d`, or"
    yield "`CLUSTERCTL_DEBUG=1`, its traceback comes first."
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
