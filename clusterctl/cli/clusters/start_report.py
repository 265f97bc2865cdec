"""The display of a plan, and of the result of `start`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from clusterctl.cli.charts.gantt import render_steps_svg
from clusterctl.cli.money import estimate_json, estimate_lines
from clusterctl.cli.output import connections_json, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.errors import UsageError
from clusterctl.operations.start import timings_document
from clusterctl.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from clusterctl.operations.start import StartResult
    from clusterctl.operations.start_plan import StartPreview
    from clusterctl.providers.money import Estimate


def show_plan(preview: StartPreview, *, as_json: bool) -> None:
    """Show what `start` would do, and what it would cost."""
    plan, estimate = preview.plan, preview.estimate
    if as_json:
        show_json(
            {**asdict(plan), "existing": preview.existing, "ends": preview.endings, "estimate": estimate_json(estimate)}
        )
        return
    echo(f"{plan.cluster}: {plural(len(plan.nodes), 'node')} from the provider {plan.provider}, user {plan.user}")
    show_table(
        ("NODE", "TYPE", "MARKET", "IMAGE"),
        [(n.alias, " | ".join(n.types) or "-", n.market or "-", n.image or "-") for n in plan.nodes],
    )
    echo(f"plugins:   {', '.join(plan.plugins)}")
    echo(f"packages:  {', '.join(plan.request.pip) or 'none'}")
    echo(f"open to the world: {', '.join(map(str, plan.request.ports)) or 'no port'}")
    if preview.endings:
        echo(f"start anew: {', '.join(preview.endings)}")
    if preview.existing:
        echo(f"there already: {', '.join(preview.existing)}")
    for line in estimate_lines(estimate) if estimate else ():
        echo(line)
    echo("nothing was created: this was a dry run")


def show_started(started: StartResult, estimate: Estimate | None = None, *, as_json: bool, timings: bool) -> None:
    """Show the result of `start`, and how to connect.

    Args:
        started: the result of `start`.
        estimate: the estimated cost that was shown before.
        as_json: whether to print JSON, for programs.
        timings: whether to show the steps and their times too.
    """
    client = next((c for c in started.published if c.name == "client"), None)
    notebook = next((c for c in started.published if c.name == "notebook"), None)
    if as_json:
        answer = {
            "name": started.name,
            "ok": started.ok,
            "nodes": [node.alias for node in started.nodes],
            "joined": started.joined,
            "failed": started.failed,
            "problems": started.problems,
            "client_file": client.file if client else None,
            "notebook_url": notebook.url if notebook else None,
            "connections": connections_json(started.published),
            "estimate": estimate_json(estimate),
        }
        show_json({**answer, **(timings_document(started) if timings else {"seconds": round(started.seconds, 3)})})
        return
    if timings:
        _show_timings(started)
    what = f"{started.name} is up" if started.joined else f"{started.name} was already running"
    if not started.ok:
        what = f"{started.name} is not complete ({', '.join(started.failed) or 'see the warnings'})"
    summary = "; ".join(one.summary for one in started.published if one.summary)
    echo(f">>> {what}: {summary or plural(len(started.nodes), 'node')}, in {started.seconds:.1f} s")
    if started.failed:
        echo(f">>> Its nodes stay for the next `clusterctl start {started.name}`, which goes on with them.")
    for connection in started.published:
        if not connection.usage:
            echo(f">>> {connection.name[:1].upper()}{connection.name[1:]}: {connection.place}")
    for connection in started.published:
        if connection.usage:
            echo(f">>> {connection.usage.rstrip()}\n")
    connect = ("connect",) if client else ()
    echo(
        ">>> More: " + " | ".join(f"clusterctl {verb} {started.name}" for verb in (*connect, "sshmaster", "terminate"))
    )


def plot_steps(started: StartResult, file: Path) -> None:
    """Draw the steps of a start into an SVG file.

    Raises:
        UsageError: it cannot be written. The cluster is up all the same.
    """
    picture = render_steps_svg(started.steps, name=started.name, seconds=started.seconds)
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"{started.name} is up, but {file} cannot be written: {exc.strerror}",
            remedy="see `timings.json` in the cluster's folder",
        ) from exc


def _show_timings(started: StartResult) -> None:
    rows = [
        (
            s.node,
            s.plugin,
            s.waited_for or "-",
            f"{s.began_s - s.ready_s:.2f}",
            f"{s.began_s:.2f}",
            f"{s.ended_s:.2f}",
            s.commands or "-",
        )
        for s in sorted(started.steps, key=lambda s: (s.began_s, s.ended_s))
    ]
    show_table(("NODE", "ACT", "WAITED FOR", "QUEUED S", "BEGAN S", "ENDED S", "COMMANDS"), rows)
    most = max(started.commands.values(), default=0)
    echo(f"remote commands: {sum(started.commands.values())}, at most {most} on a node")
