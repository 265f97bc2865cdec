"""The command `run`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import CLUSTER_NAME, SIZE_NAME, buy_option, json_option
from clusterctl.cli.needed import needed
from clusterctl.cli.nodes.following import follow, load_context, see_to_wanted, show_end, telling_url
from clusterctl.cli.nodes.placing import choose_cluster, find_place
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.clients.jobs.model import REASONS
from clusterctl.errors import UsageError
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.jobs.running import JobRequest, begin_job
from clusterctl.operations.jobs.sizes import parse_size
from clusterctl.operations.jobs.snapshot import take_snapshot
from clusterctl.wiring import completions
from clusterctl.wiring.context import own_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?")
_IMAGE = re.compile(r"\w[\w.:/@-]{0,500}", re.ASCII)
_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


class Duration(click.ParamType[float]):
    """A time such as ``90``, ``30m`` or ``2h``, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value).strip())
        seconds = float(match[1]) * _UNITS[match[2] or ""] if match else 0
        if not seconds:
            self.fail(f"{value!r} is no time; write 90s, 30m, 2h or 1d.", param, ctx)
        return seconds


class Reasons(click.ParamType[tuple[str, ...]]):
    """Why a job may run again: a comma list."""

    name = "reasons"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the reasons."""
        reasons = value if isinstance(value, tuple) else tuple(filter(None, str(value).split(",")))
        unknown = [reason for reason in reasons if reason not in REASONS.values()]
        if unknown:
            self.fail(f"{', '.join(unknown)}: choose from {', '.join(sorted(REASONS.values()))}.", param, ctx)
        return reasons


class ContainerImage(click.ParamType[str]):
    """The name of a container's image, as docker and podman take it."""

    name = "image"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it."""
        if value and not _IMAGE.fullmatch(str(value)):
            self.fail(f"{value!r} is no name of an image, such as python:3.12.", param, ctx)
        return str(value)


def read_environment(words: Sequence[str]) -> dict[str, str]:
    """Return the variables of a job: ``NAME`` has the value that it has here, ``NAME=VALUE`` this one.

    Raises:
        UsageError: this computer has no such variable.
    """
    values = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and name not in os.environ:
            raise UsageError(f"--env {name}: there is no such variable here", remedy=f"export {name} first")
        values[name] = value if equals else os.environ[name]
    return values


def read_command(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command. A single word that a shell would take apart is a line for the shell."""
    if len(words) == 1 and not _PLAIN.fullmatch(words[0]):
        return ("sh", "-c", words[0])
    return tuple(words)


def refuse_cluster(words: Sequence[str]) -> None:
    """Refuse the name of a cluster in the place of a command: other commands begin with a cluster's name.

    Raises:
        UsageError: so it is.
    """
    if words[0] in completions.cluster_names():
        rest = list(words[1:]) or ["python", "train.py"]
        raise UsageError(
            f"{words[0]} is a cluster, and no command",
            remedy=f"`{shlex.join(['clusterctl', 'run', '-c', words[0], *rest])}`",
        )


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-c", "--cluster", "cluster", type=CLUSTER_NAME, help="The cluster; optional if exactly one is up.")
@click.option(
    "-i",
    "--size",
    type=SIZE_NAME,
    help="On a node of its own: C16 (processors), M64 (GB), G1 (GPUs), a type, or a name of [sizes].",
)
@click.option(
    "--spot/--on-demand", default=None, help="How a new node for -i is bought; default: as the template says."
)
@click.option("--cores", type=click.IntRange(min=1), help="Cores that it takes; default: 1, with -i all of the node's.")
@click.option("--detach", is_flag=True, help="Do not wait for it.")
@click.option("--name", "title", default="", help="A text that `jobs` shows.")
@click.option("--port", type=click.IntRange(1, 65535), help="A port that it listens on; its URL here is told.")
@click.option("--image", type=ContainerImage(), default="", help="In a container of this image, by the node's engine.")
@click.option("--env", "variables", metavar="K[=V]", multiple=True, help="A variable; without V as it is here.")
@click.option("--max-time", type=Duration(), help="End it after this time, such as 30m or 2h.")
@click.option("--retry", "retries", default=0, type=click.IntRange(0, 1000), help="Run it again so many times.")
@click.option("--retry-on", type=Reasons(), default="failed,lost,timeout", help="After which ends.", show_default=True)
@click.option("--fetch", metavar="PATH", multiple=True, help="Bring this file or folder of the job's here at its end.")
@buy_option
@json_option
@needed("command", nargs=-1, type=click.UNPROCESSED, example="python train.py")
@click.pass_context
def run(
    ctx: click.Context, /, cluster: str | None, command: Sequence[str], *, detach: bool, as_json: bool, **wishes: Any
) -> int:
    """Run COMMAND on a node, with a copy of this folder's files; exits with its status.

    It survives this command, this computer, the tunnel and the controller: `jobs` and `job` have it.
    """
    if cluster is None:
        refuse_cluster(command)
    request = JobRequest(
        command=read_command(command),
        folder=Path.cwd(),
        name=wishes["title"],
        cores=wishes["cores"],
        max_time_s=wishes["max_time"],
        retries=wishes["retries"],
        retry_on=wishes["retry_on"],
        fetch=tuple(wishes["fetch"]),
        port=wishes["port"],
        image=wishes["image"],
        environment=read_environment(wishes["variables"]),
    )
    size = parse_size(wishes["size"], own_sizes(ctx.obj.config)) if wishes["size"] else None
    if size:
        take_snapshot(request.folder)  # what cannot go along is refused before anything is bought
    with Output(as_json=True) as output:  # what is told goes to stderr: stdout is the job's
        if size:
            about = {"spot": wishes["spot"], "yes": wishes["yes"], "config": ctx.obj.config}
            context, alias = find_place(choose_cluster(cluster), size, report=output, **about)
        else:
            context, alias = load_context(ctx, cluster, output), ""
    with RemoteJobs(context) as jobs:
        status = begin_job(context, jobs, request, alias)
        if as_json and detach:
            show_json(status.as_json())
            return 0
        echo(f"created new job {status.id}.")
        sys.stdout.flush()
        if detach:
            see_to_wanted(context, jobs)
            return 0
        with telling_url(context, jobs, status):
            heading = f">>> {status.words} on {status.node} of {context.name}"
            ended = follow(context, jobs, status.id, heading=heading)
        return show_end(context, jobs, ended)
