"""`clusterctl config`: write, check and show the config file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.config.example import render_example
from clusterctl.config.provider_options import provider_name
from clusterctl.errors import UsageError
from clusterctl.plugin import loader
from clusterctl.wiring.local_paths import config_path, home_folder
from clusterctl.wiring.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.config.settings import Origin, Settings
    from clusterctl.options import Section


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
    path = (target or (Path(explicit) if explicit else home_folder() / "config")).expanduser()
    _write_config(path, render_example(loader.installed_plugins()), force=force)
    click.echo(f"written: {path}")
    click.echo(f"next: edit it, then clusterctl config check {path}; or try it: clusterctl start mycluster")


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-c", "--cluster-template", "template", help="The template to check besides what is common.")
@click.pass_context
def check(ctx: click.Context, file: Path | None, template: str | None) -> None:
    """List everything that is wrong with the config file."""
    path = file.expanduser() if file else config_path(ctx.obj.config)
    settings = load_settings(path, template)
    for note in settings.notes:
        click.echo(f"note: {note}")
    if path is None:
        click.echo("there is no config file; the built-in template is used")
    count = len(settings.templates)
    templates = "1 cluster template" if count == 1 else f"{count} cluster templates"
    click.echo(f"ok: {templates}, {'checked' if template else 'default'} {settings.template}")


@config.command()
@click.argument("template", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def show(ctx: click.Context, template: str | None, *, as_json: bool) -> None:
    """Show every option of a cluster template, and where its value comes from."""
    settings = load_settings(config_path(ctx.obj.config), template)
    rows = list(_option_rows(settings))
    if as_json:
        click.echo(json.dumps(_settings_json(settings, rows), indent=2))
        return
    file = settings.path or "none: built in"
    click.echo(f"template {settings.template} (provider {provider_name(settings.cluster)}; file {file})")
    width = max(len(key) for key, _, _ in rows)
    for key, value, origin in rows:
        click.echo(f"{key:<{width}}  {_value_text(value)}  ({describe_origin(origin)})")


def describe_origin(origin: Origin) -> str:
    """Return a short text for the origin of a value."""
    if origin.where == "file":
        return f"{origin.file} [{origin.section}]"
    return f"{origin.where} {origin.key}" if origin.where == "environment" else origin.where


def _write_config(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read, since it may contain keys."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if force:
            path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already",
            remedy="edit it; or add --force to replace it, or --path to write another",
        ) from None
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", remedy="name another place with --path") from exc
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)


def _option_rows(settings: Settings) -> Iterator[tuple[str, Any, Origin]]:
    """Yield the dotted key, value and origin of each option that the template uses."""
    groups: list[tuple[str, Mapping[str, Section]]] = [
        ("cluster", {"": settings.cluster}),
        ("global", {"": settings.global_}),
        ("aws", {"": settings.aws}),
        ("key", {name: key for name, key in settings.keys.items() if name == settings.cluster.keyname}),
        ("host", {name: settings.hosts[name] for name in settings.cluster.hosts if name in settings.hosts}),
        ("volume", {name: settings.volumes[name] for name in settings.cluster.volumes}),
        ("permission", {name: settings.permissions[name] for name in settings.cluster.permissions}),
        ("plugin", {choice.name: choice.options for choice in settings.plugins}),
    ]
    for kind, sections in groups:
        for name, section in sections.items():
            for key in type(section).model_fields:
                dotted = ".".join(part for part in (kind, name, key) if part)
                yield dotted, getattr(section, key), settings.origins[dotted]


def _settings_json(settings: Settings, rows: list[tuple[str, Any, Origin]]) -> dict[str, object]:
    return {
        "path": str(settings.path) if settings.path else None,
        "template": settings.template,
        "provider": provider_name(settings.cluster),
        "notes": list(settings.notes),
        "options": {
            key: {"value": _to_plain(value), "from": origin.where, "where": describe_origin(origin)}
            for key, value, origin in rows
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
