"""How commands follow a job: its log, its end, and Ctrl-C."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterctl.cli.terminal import echo
from clusterctl.clients.jobs import model
from clusterctl.clock import pause
from clusterctl.errors import ClusterctlError
from clusterctl.operations.jobs.running import follow_job, see_to_lost
from clusterctl.operations.jobs.urls import close_ports, open_url
from clusterctl.operations.jobs.wanted import fetch_wanted
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from clusterctl.cli.output import Output
    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.jobs.remote_jobs import RemoteJobs

_TWICE_S = 3.0
"""A second Ctrl-C within this time cancels the job."""
_CANCEL_S = 45.0
_STATUS = {model.CANCELLED: 130, model.LOST: 255, model.TIMED_OUT: 124, model.FAILED: 1}
"""Of a command whose job has none of its own."""


def load_context(ctx: click.Context, cluster: str | None, output: Output) -> RunContext:
    """Return the context of a cluster, which is named or the only one that is up."""
    return lenient_context(resolve_cluster(cluster), config_file=ctx.obj.config, report=output)[0]


def follow(context: RunContext, jobs: RemoteJobs, job_id: str, *, quiet: bool = False, heading: str = "") -> JobStatus:
    """Show what a job prints until it is over. Ctrl-C lets it go on, and a second one cancels it."""
    try:
        if heading:
            echo(heading, err=True)
        return follow_job(context, jobs, job_id, _pass_over if quiet else write_log)
    except KeyboardInterrupt:
        try:  # at once: the second one may come while this is said
            echo(f"job {job_id} goes on: `clusterctl job logs {job_id}` shows it", err=True)
            echo(f"Ctrl-C again within {_TWICE_S:.0f} s cancels it", err=True)
            pause(_TWICE_S)
        except KeyboardInterrupt:
            jobs.forget_ways()  # a question was cut off
            return jobs.cancel(job_id, _CANCEL_S)
        raise


@contextmanager
def telling_url(context: RunContext, jobs: RemoteJobs, status: JobStatus) -> Iterator[None]:
    """Tell the URL of a job's port as soon as the port answers, beside the block."""
    over = threading.Event()
    node = jobs.nodes.get(status.node)

    def tell() -> None:
        try:
            if node is not None:
                echo(f">>> port {status.port} is {open_url(context, node, status, over.is_set)}", err=True)
        except ClusterctlError as exc:
            if not over.is_set():
                echo(f"warning: {exc.message}", err=True)

    if status.port is not None:
        threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def write_log(part: bytes) -> None:
    """Print what a job has printed, as it is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def _pass_over(_part: bytes) -> None:
    """Show nothing."""


def show_end(context: RunContext, jobs: RemoteJobs, status: JobStatus) -> int:
    """Fetch what is wanted, tell how a job ended unless it is done, and return the status for the command."""
    see_to_wanted(context, jobs)
    if status.state != model.DONE:
        detail = f": {status.detail}" if status.detail else ""
        echo(f"job {status.id} is {describe_state(status)}{detail}", err=True)
    return exit_status(status)


def describe_state(status: JobStatus) -> str:
    """Return the state as it is shown: ``failed 3``."""
    return f"{status.state} {status.exit}" if status.state == model.FAILED and status.exit else status.state


def exit_status(status: JobStatus) -> int:
    """Return what a command exits with whose job ended so."""
    if status.state == model.DONE:
        return 0
    return status.exit if status.state == model.FAILED and status.exit else _STATUS.get(status.state, 0)


def see_to_wanted(context: RunContext, jobs: RemoteJobs) -> list[JobStatus]:
    """Have lost jobs run again that shall, and fetch what jobs have made that are over. Return all jobs."""
    statuses = see_to_lost(context, jobs, jobs.all())
    over = [status.id for status in statuses if status.is_over]
    close_ports(context, over)
    for wanted, trouble in fetch_wanted(context, jobs, over):
        named = ", ".join(wanted.paths)
        if trouble:
            echo(f"job {wanted.id}: {named}: {trouble}", err=True)
        else:
            echo(f">>> job {wanted.id}: {named} fetched to {wanted.folder}", err=True)
    return statuses
