"""The command `sync`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import cluster_argument, json_option, target_options
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.operations.sending.syncing import sync_folder
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.node.syncing import Synced

_SHOWN = 20
"""Paths of one node, at most; `--json` has all of them."""


@click.command()
@target_options(". All nodes share the home.")
@click.option("--delete", "deletes", is_flag=True, help="Delete there what is not here, but for what is ignored.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent and deleted, and do nothing.")
@json_option
@cluster_argument
@needed("folder", type=click.Path(path_type=Path), example=".")
@click.argument("remote", required=False)
@click.pass_context
def sync(
    ctx: click.Context,
    /,
    name: str,
    folder: Path,
    remote: str | None,
    nodes: Sequence[str],
    *,
    as_json: bool,
    **options: Any,
) -> int:
    """Send what has changed in FOLDER to a node. REMOTE is the folder there; default: of the same name, in the home.

    Files are those of git, or all but what .clusterctlignore names. A file is the same if size, time and mode are.
    """
    dry_run = bool(options["dry_run"])
    with Output(as_json=as_json) as output:
        context = lenient_context(resolve_cluster(name), config_file=ctx.obj.config, report=output)[0]
        target = remote or folder.resolve().name or "."
        synced = sync_folder(context, nodes, folder, target, **options)
    if as_json:
        show_json([{"node": alias, **_describe(one), "dry_run": dry_run} for alias, one in synced.items()])
    for alias, one in synced.items() if not as_json else ():
        _show(alias, target, one, dry_run=dry_run)
    return 1 if any(one.omitted for one in synced.values()) else 0


def _describe(one: Synced) -> dict[str, object]:
    return {
        "sent": list(one.sent),
        "bytes": one.size,
        "deleted": list(one.deleted),
        "unchanged": one.unchanged,
        "omitted": [{"path": path, "why": why} for path, why in one.omitted],
    }


def _show(alias: str, target: str, one: Synced, *, dry_run: bool) -> None:
    changes = [*(f"+ {path}" for path in one.sent), *(f"- {path}" for path in one.deleted)]
    for change in changes[:_SHOWN]:
        echo(f"    {change}")
    if len(changes) > _SHOWN:
        echo(f"    ... and {len(changes) - _SHOWN} more")
    done = ("would be sent", "would be deleted") if dry_run else ("sent", "deleted")
    deleted = f", {len(one.deleted)} {done[1]}" if one.deleted else ""
    size = f"{one.size / 1e6:.1f} MB" if one.size >= 100_000 else plural(one.size, "byte")
    sizes = f" ({size})" if one.sent else ""
    echo(
        f">>> {plural(len(one.sent), 'file')}{sizes} {done[0]} to {alias}:{target}{deleted}, {one.unchanged} unchanged"
    )
    for path, why in one.omitted:
        echo(f"{alias}: left out: {path}: {why}", err=True)
