"""The commands `jobs` and `job`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clusterctl.cli.arguments import CLUSTER_NAME, json_option, optional_cluster
from clusterctl.cli.needed import needed
from clusterctl.cli.nodes.following import (
    describe_state,
    exit_status,
    follow,
    load_context,
    see_to_wanted,
    show_end,
    write_log,
)
from clusterctl.cli.output import Output, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.clients.jobs import model
from clusterctl.clock import utc_now
from clusterctl.errors import StateError, UsageError
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.jobs.urls import open_url
from clusterctl.operations.jobs.wanted import fetch_paths
from clusterctl.text import format_age, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.operations.context import RunContext

F = TypeVar("F", bound="Callable[..., Any]")
_CANCEL_S = 45.0
_SHOWN = 20
"""Jobs that are over, at most, unless all are asked for."""


@click.command()
@optional_cluster
@click.option("--all", "-a", "with_old", is_flag=True, help="Also those that ended long ago.")
@json_option
@click.pass_context
def jobs(ctx: click.Context, name: str | None, *, with_old: bool, as_json: bool) -> None:
    """List the jobs of a cluster, the newest one last."""
    with Output(as_json=True) as output:
        context = load_context(ctx, name, output)
    with RemoteJobs(context) as remote:
        statuses = see_to_wanted(context, remote)
    shown = statuses if with_old or as_json else [status for status in statuses if not status.is_over]
    shown = shown if with_old or as_json else [*[s for s in statuses if s.is_over][-_SHOWN:], *shown]
    if as_json:
        show_json([status.as_json() for status in shown])
    elif not shown:
        echo(f">>> no jobs on {context.name}; `clusterctl run COMMAND` begins one")
    else:
        rows = [
            (status.id, describe_state(status), status.node, status.cores, _time_of(status), _title(status))
            for status in shown
        ]
        show_table(("JOB", "STATE", "NODE", "CORES", "TIME", "WHAT"), rows)


def _time_of(status: JobStatus) -> str:
    """Return how long a job has run, or waits."""
    began = status.began if status.state != model.WAITING else status.created
    if began is None:
        return "-"
    ended = datetime.fromtimestamp(status.ended, timezone.utc) if status.ended else utc_now()
    return format_age(ended - datetime.fromtimestamp(began, timezone.utc))


def _title(status: JobStatus) -> str:
    return f"{status.name}: {status.words}" if status.name else status.words


@click.group()
def job() -> None:
    """Show, follow, end or fetch one job, by its id or how that begins."""


def _job_command(function: F) -> F:
    """Add what every command about a job has."""
    option = click.option("-c", "--cluster", type=CLUSTER_NAME, help="Its cluster; optional if exactly one is up.")
    return option(needed("job_id", metavar="ID", example="9845a3bd4", listed_by="jobs --all")(function))


class _OneJob:
    """A job that a command names, and the way to it."""

    def __init__(self, ctx: click.Context, cluster: str | None, begun: str) -> None:
        with Output(as_json=True) as output:
            self.context: RunContext = load_context(ctx, cluster, output)
        self.jobs = RemoteJobs(self.context)
        meant = [status for status in see_to_wanted(self.context, self.jobs) if status.id.startswith(begun)]
        if len(meant) != 1 or not begun:
            problem = f"{plural(len(meant), 'job')} begin with {begun}" if meant else f"there is no job {begun}"
            raise UsageError(f"{problem} on {self.context.name}", remedy="`clusterctl jobs --all` lists them")
        self.status = meant[0]

    def __enter__(self) -> _OneJob:
        return self

    def __exit__(self, *_: object) -> None:
        self.jobs.forget_ways()


@job.command()
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on until the job is over; exits with its status.")
@_job_command
@click.pass_context
def logs(ctx: click.Context, /, job_id: str, cluster: str | None, *, follows: bool) -> int:
    """Show what a job has printed."""
    with _OneJob(ctx, cluster, job_id) as one:
        if follows:
            return show_end(one.context, one.jobs, follow(one.context, one.jobs, one.status.id))
        for part in _read_log(one):
            write_log(part)
    return 0


def _read_log(one: _OneJob) -> Iterator[bytes]:
    offset = 0
    while part := one.jobs.read(one.status.id, offset, 0)[1]:
        yield part
        offset += len(part)


@job.command()
@_job_command
@click.pass_context
def show(ctx: click.Context, /, job_id: str, cluster: str | None) -> None:
    """Print a job's manifest as JSON: command, commit, tree, node, times, how it went."""
    with _OneJob(ctx, cluster, job_id) as one:
        show_json(one.jobs.manifest(one.status.id))


@job.command()
@_job_command
@click.pass_context
def wait(ctx: click.Context, /, job_id: str, cluster: str | None) -> int:
    """Wait for the end of a job; exits with its status."""
    with _OneJob(ctx, cluster, job_id) as one:
        return show_end(one.context, one.jobs, follow(one.context, one.jobs, one.status.id, quiet=True))


@job.command()
@_job_command
@click.pass_context
def cancel(ctx: click.Context, /, job_id: str, cluster: str | None) -> int:
    """End a job: its processes get SIGTERM, and SIGKILL 30 s later."""
    with _OneJob(ctx, cluster, job_id) as one:
        status = one.jobs.cancel(one.status.id, _CANCEL_S)
        see_to_wanted(one.context, one.jobs)
    echo(f">>> job {status.id} is {describe_state(status)}")
    return 0 if status.state == model.CANCELLED else max(1, exit_status(status))


@job.command()
@_job_command
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), default=".", help="Where to; default: here.")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.pass_context
def fetch(ctx: click.Context, /, job_id: str, cluster: str | None, paths: Sequence[str], folder: Path) -> int:
    """Copy files and folders of a job to here; without PATH those that --fetch has named."""
    with _OneJob(ctx, cluster, job_id) as one:
        named = tuple(paths) or one.status.fetch
        if not named:
            raise UsageError("nothing is named", remedy=f"name paths: `clusterctl job fetch {job_id} model.pkl`")
        copied = fetch_paths(one.context, one.jobs, one.status.id, named, folder)
    echo(f">>> {plural(copied.files, 'file')} fetched to {folder}")
    for path, why in copied.omitted:
        echo(f"left out: {path}: {why}", err=True)
    return 1 if copied.omitted else 0


@job.command()
@_job_command
@click.pass_context
def url(ctx: click.Context, /, job_id: str, cluster: str | None) -> None:
    """Print the URL of a job's port on this computer, once the port answers. It stays open while the job runs."""
    with _OneJob(ctx, cluster, job_id) as one:
        node = one.jobs.nodes.get(one.status.node)
        if node is None:
            raise StateError(f"{one.status.node} does not run", remedy=f"`clusterctl start {one.context.name}`")
        echo(open_url(one.context, node, one.status, lambda: one.jobs.look(one.status.id).is_over))
