"""The command `top`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import every_option, optional_cluster
from clusterctl.cli.clusters.top_screen import draw
from clusterctl.cli.money import spending_json
from clusterctl.cli.output import Output, own_screen, show_json
from clusterctl.cli.terminal import echo
from clusterctl.clock import pause
from clusterctl.laptop.keys import listening_to_keys
from clusterctl.operations.seeing.observer import Observer
from clusterctl.text import format_utc
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

if TYPE_CHECKING:
    from clusterctl.operations.seeing.readings import Space
    from clusterctl.operations.seeing.sight import EngineSight, MapSight, NodeSight, Sight

_END_KEYS = {"q", "Q", "\x03", "\x04"}


@click.command()
@optional_cluster
@every_option(3)
@click.option("--once", is_flag=True, help="Show it once, whole, and end; also where nobody has a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each look; with --once a document.")
@click.pass_context
def top(ctx: click.Context, name: str | None, *, every_s: int, once: bool, as_json: bool) -> None:
    """Show what the nodes, the engines, the queue, the maps and the jobs of a cluster do, and what it costs.

    It is drawn anew on the terminal until q or Ctrl-C, and nothing stays on the nodes.
    """
    cluster = resolve_cluster(name)
    with Output(as_json=True) as output:
        context = lenient_context(cluster, config_file=ctx.obj.config, report=output)[0]
        observer = Observer(context, every_s=every_s)
    try:
        if sys.stdout.isatty() and not (once or as_json):
            _show_on_terminal(observer, every_s)
            return
        observer.wait_for_all()
        if as_json and not once:
            _print_lines(observer, every_s)
        elif as_json:
            show_json(sight_json(observer.look()))
        else:
            for line in draw(observer.look()):
                echo(line)
    except KeyboardInterrupt:
        if once:
            raise
    finally:
        observer.close()


def _print_lines(observer: Observer, every_s: float) -> None:
    with Output(as_json=True) as output, listening_to_keys(pause) as wait_for_key:
        while True:
            output.answer_line(sight_json(observer.look()))
            if wait_for_key(every_s) in _END_KEYS:
                return


def _show_on_terminal(observer: Observer, every_s: float) -> None:
    with listening_to_keys(pause) as wait_for_key, own_screen() as show:
        while True:
            show(partial(draw, observer.look()))
            if wait_for_key(min(every_s, 1.0)) in _END_KEYS:
                return


def sight_json(sight: Sight) -> dict[str, object]:
    """Return what a cluster does, for programs. Sizes are bytes, shares go from 0 to 1, times are seconds."""
    return {
        "name": sight.name,
        "at": format_utc(sight.at),
        "nodes": [_node_json(node) for node in sight.nodes],
        "engines": [_engine_json(engine) for engine in sight.engines],
        "queue": {"answered": sight.answered, "waiting": sight.waiting, "tasks_per_s": _round(sight.rate)},
        "maps": [_map_json(one) for one in sight.maps],
        "clients": [{"client": one.name, "left": one.left, "items_per_s": _round(one.rate)} for one in sight.clients],
        "jobs": [job.as_json() for job in sight.jobs],
        "cost": spending_json(sight.spending),
        "notes": list(sight.notes),
    }


def _node_json(node: NodeSight) -> dict[str, object]:
    load = node.load
    return {
        "alias": node.alias,
        "state": node.state,
        "silent_s": _round(node.silent_s),
        "trouble": node.trouble or None,
        "cpu": _round(load.cpu) if load else None,
        "cores": load.cores if load else None,
        "load": _round(load.load) if load else None,
        "memory": _space_json(load.memory) if load and load.memory else None,
        "disks": [_space_json(disk) for disk in load.disks] if load else [],
        "gpus": [{**_space_json(gpu), "busy": _round(gpu.busy)} for gpu in load.gpus] if load else [],
        "engines": node.engines,
        "engines_busy": node.busy,
    }


def _space_json(space: Space) -> dict[str, object]:
    return {"name": space.name, "used": space.used, "total": space.total}


def _engine_json(engine: EngineSight) -> dict[str, object]:
    work = engine.work
    return {
        "engine": engine.number,
        "node": engine.node or None,
        "state": engine.state,
        "tasks": work.tasks if work else 0,
        "client": (work.client or None) if work else None,
        "kind": (work.kind or None) if work else None,
        "seconds": _round(work.seconds) if work else None,
    }


def _map_json(one: MapSight) -> dict[str, object]:
    return {**one.status.as_json(), "items_per_s": _round(one.rate)}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
