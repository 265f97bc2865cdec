"""Where a job with a size goes: to an idle node, to a new one, or to a cluster of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clusterctl.cli.money import Prompt
from clusterctl.errors import RemoteError, UsageError
from clusterctl.model import NodeState
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.jobs.sizes import find_idle, settle_types
from clusterctl.operations.start import start_cluster
from clusterctl.wiring.clusters import known_clusters, resolve_cluster
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from clusterctl.cli.output import Output
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.jobs.sizes import Size

OWN = "jobs"
"""The cluster that `run` starts where none is up."""
_IDLE = "20m"
"""Without a job, after which it ends itself, unless the template says something else."""


def choose_cluster(cluster: str | None) -> str:
    """Return the cluster for a job with a size: the named one, the only one that is up, or `OWN`."""
    if cluster is not None:
        return resolve_cluster(cluster)
    up = [name for name, state in known_clusters().items() if state == NodeState.RUNNING]
    if not up or OWN in up:
        return OWN
    return resolve_cluster(None)


def find_place(
    name: str, size: Size, *, spot: bool | None, yes: bool, config: str | None, report: Output
) -> tuple[RunContext, str]:
    """Return the context of a cluster, and the alias of its node for a job. Starts what is needed, after asking.

    Args:
        name: the cluster.
        size: what the node must have.
        spot: whether a new one is a spot instance; None as the template has it.
        yes: say what it costs, and do not ask.
        config: the config file as given on the command line.
        report: tells the user what is done.
    """
    approval = Prompt(as_json=True, asks=not yes)
    if known_clusters().get(name) != NodeState.RUNNING:
        return _start(name, size, spot=spot, approval=approval, config=config, report=report), "master"
    context = lenient_context(name, config_file=config, report=report)[0]
    size = settle_types(context, size)
    with RemoteJobs(context) as jobs:
        idle = find_idle(context, list(jobs.nodes.values()), jobs.all(), size)
    if idle is not None:
        return context, idle.alias
    if context.provider.name not in {"ec2", "docker"}:
        raise UsageError(
            f"{name} has no idle node of size {size.text}, and nodes of {context.provider.name} have no sizes",
            remedy="take --cores instead, which waits for them",
        )
    context = load_context(name, config_file=config, report=report)
    started = add_nodes(context, (), 1, differing=size.overrides(spot=spot), approval=approval)
    if not started.joined:
        raise RemoteError(f"the node of size {size.text} did not join {name}", remedy=f"see `clusterctl status {name}`")
    return context, started.joined[-1]


def _start(
    name: str, size: Size, *, spot: bool | None, approval: Prompt, config: str | None, report: Output
) -> RunContext:
    template = load_context(name, config_file=config, report=report)
    kind = template.provider.name
    size = settle_types(template, size)
    if kind == "static" or (kind == "local" and (size.vcpus or 1) > (os.cpu_count() or 1)):
        raise UsageError(
            f"no cluster is up, and one with a node of size {size.text} cannot be started with PROVIDER = {kind}",
            remedy="name a template's provider that has such nodes, or start a cluster and leave -i out",
        )
    options = size.options(template.settings.cluster, spot=spot) if kind == "ec2" else {"cluster_size": "1"}
    if kind == "docker" and size.vcpus:
        options["vcpus"] = str(size.vcpus)
    if template.settings.cluster.idle_stop is None:
        options["idle_stop"] = _IDLE
    context = load_context(name, config_file=config, overrides=options, report=report)
    start_cluster(context, explicit_size=1, approval=approval)
    return context
