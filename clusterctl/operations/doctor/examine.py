"""`doctor` as a whole: first what needs no node, then the cluster, all of its nodes side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.events import SILENT
from clusterctl.formats import VERSION
from clusterctl.operations.doctor.checks import LIMIT_S, Check, Finding, Outcome, failure, run_checks, within
from clusterctl.operations.doctor.laptop import checks_of_laptop
from clusterctl.operations.doctor.nodes import (
    NodeAnswer,
    check_of_node,
    look_at_services,
    look_at_task,
    missing_nodes,
)
from clusterctl.operations.doctor.setup import checks_of_setup, look_at_config
from clusterctl.operations.start import TIMINGS_FILE
from clusterctl.text import plural
from clusterctl.tunnel import process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.events import Reporter
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

CLUSTER = "cluster"
_PROVIDER_REMEDY = "see whether the provider answers: `clusterctl list`"


@dataclass(frozen=True)
class Patient:
    """What `doctor` examines. Each function may raise, and may wait."""

    home: Path
    """The folder of all our files."""
    check_config: Callable[[], str]
    """Checks all sections of the config file, and returns a few words on them."""
    load_start: Callable[[str | None], RunContext]
    """Makes the context of a start of this cluster; without a name, of a new one of the default template."""
    find_cluster: Callable[[], str]
    """Returns the name of the cluster that is meant."""
    load_cluster: Callable[[str], tuple[RunContext, str]]
    """Makes the context of a cluster, whatever is wrong with its config, and says what is."""
    compare_python: Callable[[str], str]
    """Returns a warning if a cluster runs another Python than this computer."""
    named: bool
    """Whether the user named a cluster."""


def examine(patient: Patient, report: Reporter) -> list[Finding]:
    """Look at everything, and return what was seen. Nothing is changed.

    Raises:
        UsageError: there is no cluster of the name that the user gave.
    """
    name, unnamed = _find_cluster(patient)
    report.say("Examining this computer, its config and what a start needs")
    findings, start = look_at_config(patient.check_config, lambda: patient.load_start(name))
    findings += run_checks([*checks_of_laptop(patient.home), *checks_of_setup(start, os.environ)])
    return findings + unnamed + (_examine_cluster(patient, name, report) if name else [])


def _find_cluster(patient: Patient) -> tuple[str | None, list[Finding]]:
    """Return the cluster that is meant; or none, and why."""
    try:
        waits_for = "the providers to list their clusters"
        return within(LIMIT_S, waits_for, patient.find_cluster, remedy=_PROVIDER_REMEDY), []
    except UsageError as exc:
        if patient.named:
            raise
        return None, [Finding(CLUSTER, "name", Outcome.SKIPPED, exc.message, exc.remedy)]
    except ClusterctlError as exc:
        return None, [failure(CLUSTER, "name", exc)]


def _examine_cluster(patient: Patient, name: str, report: Reporter) -> list[Finding]:
    try:
        context, nodes, findings = within(
            LIMIT_S, f"the provider to list the nodes of {name}", lambda: _ask(patient, name), remedy=_PROVIDER_REMEDY
        )
    except ClusterctlError as exc:
        return [failure(CLUSTER, "nodes", exc)]
    report.say(f"Examining {plural(len(nodes), 'node')} of {name}, at most {LIMIT_S:.0f} s each")
    # What it waits for on the way is not for the user: what comes of it is.
    cluster = replace(context, report=SILENT).make_cluster(nodes)
    try:
        return [*findings, *missing_nodes(context, nodes), *_examine_nodes(context, cluster)]
    finally:
        cluster.close()


def _ask(patient: Patient, name: str) -> tuple[RunContext, Sequence[Node], list[Finding]]:
    context, trouble = patient.load_cluster(name)
    remedy = "correct the config: `clusterctl config check` lists all of it"
    findings = [Finding(CLUSTER, "config", Outcome.WARNING, line, remedy) for line in trouble.splitlines()]
    warning = patient.compare_python(name)
    if warning:
        remedy = "install clusterctl under that version as well: `uv tool install --python VERSION clusterctl`"
        findings.append(Finding(CLUSTER, "python", Outcome.WARNING, warning, remedy))
    findings.append(look_at_version(context))
    nodes = context.provider.nodes(name)
    if not nodes:
        findings.append(Finding(CLUSTER, "nodes", Outcome.FAILED, f"{name} has none", f"clusterctl start {name}"))
    return context, nodes, findings


def _examine_nodes(context: RunContext, cluster: Cluster) -> list[Finding]:
    answers: dict[str, NodeAnswer] = {}
    checks = [check_of_node(cluster, node, answers) for node in cluster.nodes]
    folder = context.folder.path
    findings = run_checks(
        [*checks, Check(CLUSTER, "tunnel", "the tunnel", lambda: [look_at_tunnel(context.name, folder)])]
    )
    master = next((answers[node.alias] for node in cluster.nodes if node.is_master and node.alias in answers), None)
    if master is None:
        why = "the master does not answer"
        return findings + [Finding(CLUSTER, item, Outcome.SKIPPED, why) for item in ("services", "task")]
    remedy = f"clusterctl start {context.name}; `clusterctl logs {context.name}` says why"
    # One after the other: the master has few processors, and both ask the controller.
    for item, waits_for, look in (
        ("services", "the plugins to ask their services", lambda: look_at_services(context, cluster, master)),
        ("task", "a task on an engine", lambda: [look_at_task(cluster, master)]),
    ):
        findings += run_checks([Check(cluster.master.alias, item, waits_for, look, remedy=remedy)])
    return findings


def look_at_version(context: RunContext) -> Finding:
    """Return which version of clusterctl has started the cluster last."""
    kept = context.folder.read_json(TIMINGS_FILE)
    writer = str(kept.get("written_by") or "") if isinstance(kept, dict) else ""
    if not writer:
        return Finding(CLUSTER, "version", Outcome.SKIPPED, "no file here says which clusterctl started it")
    if writer == VERSION:
        return Finding(CLUSTER, "version", Outcome.OK, "was started by this clusterctl")
    text = f"was started by clusterctl {writer}, and this is {VERSION}"
    remedy = f"clusterctl start {context.name}, which lets its nodes join again where this version needs it"
    return Finding(CLUSTER, "version", Outcome.WARNING, text, remedy)


def look_at_tunnel(name: str, folder: Path) -> Finding:
    """Return whether the tunnel is up and connected, where one is needed."""
    if not (folder / process.TUNNEL_FILE).exists():
        return Finding(CLUSTER, "tunnel", Outcome.OK, "is not needed")
    if process.answers(folder):
        return Finding(CLUSTER, "tunnel", Outcome.OK, "is up")
    return Finding(CLUSTER, "tunnel", Outcome.FAILED, "is down", f"clusterctl tunnel {name}")
