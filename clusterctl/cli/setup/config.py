"""`clusterctl config`: write, check and show the config file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import TEMPLATE_NAME, json_option
from clusterctl.cli.output import show_json
from clusterctl.cli.terminal import echo
from clusterctl.config.example import render_example, write_config
from clusterctl.config.settings import list_chosen_options
from clusterctl.files import expand_user
from clusterctl.plugin import loader
from clusterctl.text import plural
from clusterctl.wiring.local_paths import config_path, home_folder
from clusterctl.wiring.plugins import shown_plugins
from clusterctl.wiring.settings import check_config, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.config.ini import Origin
    from clusterctl.config.settings import ChosenOption, Settings


@click.group()
def config() -> None:
    """Write, check or show the config file."""


@config.command()
@click.option("--path", "target", type=click.Path(path_type=Path), help="Where to write it.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.pass_context
def init(ctx: click.Context, target: Path | None, *, force: bool) -> None:
    """Write a commented config file that works as it is."""
    explicit = ctx.obj.config or os.environ.get("CLUSTERCTL_CONFIG")
    path = expand_user(target or (Path(explicit) if explicit else home_folder() / "config"))
    write_config(path, render_example(loader.installed_plugins()), force=force)
    echo(f"written: {path}")
    echo(f"next: edit it, then clusterctl config check {path}; or try it: clusterctl start mycluster")


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-c",
    "--cluster-template",
    "template",
    type=TEMPLATE_NAME,
    help="The template to check besides what is common.",
)
@click.pass_context
def check(ctx: click.Context, file: Path | None, template: str | None) -> None:
    """List everything that is wrong with the config file."""
    path = expand_user(file) if file else config_path(ctx.obj.config)
    checked = check_config(path, template)
    for note in checked.notes:
        echo(f"note: {note}")
    if path is None:
        echo("there is no config file; the built-in template is used")
    which = f"{'checked' if template else 'default'} {checked.template}"
    if not checked.template:
        which = f"none of them the default: name {' or '.join(checked.templates)} with `clusterctl start -c`"
    echo(f"ok: {plural(len(checked.templates), 'cluster template')}, {which}")


@config.command()
@click.argument("template", required=False, type=TEMPLATE_NAME)
@json_option
@click.pass_context
def show(ctx: click.Context, template: str | None, *, as_json: bool) -> None:
    """Show every option of a cluster template, and where its value comes from."""
    settings = load_settings(config_path(ctx.obj.config), template)
    options = list_chosen_options(settings, shown_plugins(settings))
    if as_json:
        show_json(_settings_json(settings, options))
        return
    file = settings.path or "none: built in"
    echo(f"template {settings.template} (provider {settings.cluster.provider_name}; file {file})")
    width = max(len(option.key) for option in options)
    for option in options:
        echo(f"{option.key:<{width}}  {_value_text(option.value)}  ({describe_origin(option.origin)})")


def describe_origin(origin: Origin) -> str:
    """Return a short text for the origin of a value."""
    if origin.where == "file":
        return f"{origin.file} [{origin.section}]"
    return f"{origin.where} {origin.key}" if origin.where == "environment" else origin.where


def _settings_json(settings: Settings, options: Sequence[ChosenOption]) -> dict[str, object]:
    return {
        "path": str(settings.path) if settings.path else None,
        "template": settings.template,
        "provider": settings.cluster.provider_name,
        "notes": list(settings.notes),
        "options": {
            option.key: {
                "value": _to_plain(option.value),
                "from": option.origin.where,
                "where": describe_origin(option.origin),
            }
            for option in options
        },
    }


def _to_plain(value: Any) -> Any:
    """Return a value that JSON can hold. Every other type goes through str(), which hides a secret."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return [_to_plain(item) for item in value] if isinstance(value, tuple | list) else str(value)


def _value_text(value: Any) -> str:
    plain = _to_plain(value)
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, list):
        plain = ", ".join(map(str, plain))
    return "-" if plain in (None, "") else str(plain)
