"""What `doctor` asks the nodes of a cluster: one command each, and one more on the master for a real task."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.clock import utc_now
from clusterctl.model import Facet, NodeState
from clusterctl.node import health
from clusterctl.node.programs import run_program
from clusterctl.operations.doctor.checks import LIMIT_S, Check, Finding, Outcome
from clusterctl.operations.doctor.laptop import space_finding
from clusterctl.operations.status import plugin_rows, service_rows
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node, StatusRow
    from clusterctl.node.health import NodeHealth
    from clusterctl.operations.context import RunContext

SCRIPT = "doctor: look"
"""The name of the script."""
CLOCK_S = 60
"""How far a node's clock may be from the laptop's."""
_FACT = "clusterctl-fact"
_FACTS = re.compile(rf"^{_FACT} (clock|disk|environment|metadata) ([0-9]{{1,15}})(?: (.+))?$", re.MULTILINE)
LOCK = "/etc/systemd/system/systemd-networkd.service.d/clusterctl.conf"
"""Is there on machines that were told at birth to close their metadata service (providers/ec2/launch/userdata.py)."""
_CHECK = "clusterctl.on_node.system.check_environment"
# The kernel is asked for the way that a packet of another user than root would take: none is sent.
_METADATA_SCRIPT = f"""\
if [ -e {LOCK} ]; then
    if ! command -v ip >/dev/null || ip route get 169.254.169.254 uid 65534 >/dev/null 2>&1 \\
        || ip -6 route get fd00:ec2::254 uid 65534 >/dev/null 2>&1; then
        echo {_FACT} metadata 1
    else
        echo {_FACT} metadata 0
    fi
fi
"""
_TASK_WAIT_S = 2.0
_ROUNDING_S = 1


@dataclass(frozen=True)
class NodeAnswer:
    """What a node said."""

    health: NodeHealth
    ahead_s: int | None
    """How far its clock is ahead of the laptop's, at least; None where it does not say."""
    disks: tuple[tuple[str, int], ...]
    """Its disks: where each is mounted, and how many MB are free."""
    environment: str = ""
    """What is wrong with the files of its packages, read one by one; empty if nothing is known to be."""
    metadata_open: bool | None = None
    """Whether others than root reach the metadata service; None where it was not to be closed."""


def check_of_node(cluster: Cluster, node: Node, answers: dict[str, NodeAnswer]) -> Check:
    """Return the check of one node. Its answer is kept in `answers`, by alias."""
    return Check(
        node.alias,
        "answers",
        f"{node.alias} at {node.address}",
        partial(_look_at_node, cluster, node, answers),
        remedy=f"clusterctl restart {cluster.name}, or see `clusterctl logs --commands {cluster.name} {node.alias}`",
    )


def _look_at_node(cluster: Cluster, node: Node, answers: dict[str, NodeAnswer]) -> list[Finding]:
    if node.state != NodeState.RUNNING:
        return [
            Finding(node.alias, "state", Outcome.FAILED, f"is {node.state.value}", f"clusterctl start {cluster.name}")
        ]
    began = utc_now().timestamp()
    said = cluster.on(node).run_script(_script(node), name=SCRIPT, timeout_s=LIMIT_S, sudo=True, reads=True)
    answer = _parse(said.stdout, began, utc_now().timestamp())
    answers[node.alias] = answer
    return [
        Finding(node.alias, "answers", Outcome.OK, f"{node.address} runs commands"),
        *_findings_of_disks(cluster, node, answer),
        _finding_of_clock(cluster, node, answer),
        *_findings_of_packages(cluster, node, answer),
        *_findings_of_metadata(cluster, node, answer),
        *(_findings_of_worker(cluster, node, answer) if not node.is_master else ()),
    ]


def _script(node: Node) -> str:
    """Return a script that prints facts, and then what the probes of the node's services say."""
    folders = " ".join(shlex.quote(str(folder)) for folder in (node.layout.state, node.layout.env, node.layout.home))
    # A file server that is gone holds `df` up for ever, and with it the probes.
    # Nodes that share a cache have the same files: one reads them for all.
    reads = node.is_master or Facet.SHARED_CACHE not in node.facets
    check = run_program(node.layout.env / "bin" / "python", _CHECK, {"env": node.layout.env}) if reads else ""
    limit = "$(command -v timeout >/dev/null && echo timeout -s KILL 5)"
    return (
        f"echo {_FACT} clock $(date +%s)\n"
        f"{limit} df -Pk {folders} 2>/dev/null | awk 'NR > 1 {{ print \"{_FACT} disk\", $4, $6 }}'\n"
        f"{_METADATA_SCRIPT}{check}{health.script(node)}"
    )


def _parse(output: str, began_s: float, ended_s: float) -> NodeAnswer:
    """Parse the output of the script. It is a node's word: what is not as agreed is left out."""
    ahead_s, disks, environment, metadata_open = None, {}, "", None
    for kind, number, where in _FACTS.findall(output):
        if kind == "clock":
            ahead_s = _difference(int(number), began_s, ended_s)
        elif kind == "environment":
            environment = where or "is damaged"
        elif kind == "metadata":
            metadata_open = int(number) != 0
        elif where:
            disks[where] = int(number) * 1024 // 1_000_000
    return NodeAnswer(health.parse(output), ahead_s, tuple(disks.items()), environment, metadata_open)


def _difference(said_s: int, began_s: float, ended_s: float) -> int:
    """Return how far a clock is ahead that was read some time between these two moments: at least so many seconds."""
    if said_s < began_s - _ROUNDING_S:
        return int(said_s - began_s)
    return max(0, int(said_s - ended_s))


def _findings_of_disks(cluster: Cluster, node: Node, answer: NodeAnswer) -> list[Finding]:
    # Without the node's words: a remedy is typed into a shell.
    remedy = f"clusterctl sshnode {cluster.name} {node.alias} df -h"
    if not answer.disks:
        return [Finding(node.alias, "disk", Outcome.WARNING, "it does not say how much space is left", remedy)]
    return [space_finding(node.alias, free_mb, where, remedy) for where, free_mb in answer.disks]


def _findings_of_packages(cluster: Cluster, node: Node, answer: NodeAnswer) -> Iterator[Finding]:
    if answer.environment:
        text = f"their environment is damaged: {answer.environment}"
        yield Finding(node.alias, "packages", Outcome.FAILED, text, f"clusterctl runplugin packages {cluster.name}")


def _findings_of_metadata(cluster: Cluster, node: Node, answer: NodeAnswer) -> Iterator[Finding]:
    item = "metadata"
    if answer.metadata_open:
        text = "every user of the node reaches the metadata service, and what the instance's role may do"
        # The rules are made at each boot.
        yield Finding(node.alias, item, Outcome.FAILED, text, f"clusterctl restart {cluster.name}")
    elif answer.metadata_open is False:
        yield Finding(node.alias, item, Outcome.OK, "only root reaches the metadata service")


def _finding_of_clock(cluster: Cluster, node: Node, answer: NodeAnswer) -> Finding:
    if answer.ahead_s is None:
        return Finding(node.alias, "clock", Outcome.SKIPPED, "it does not say what time it is")
    if abs(answer.ahead_s) <= CLOCK_S:
        return Finding(node.alias, "clock", Outcome.OK, f"is within {CLOCK_S} s of this computer's")
    way = "ahead of" if answer.ahead_s > 0 else "behind"
    text = f"is {abs(answer.ahead_s)} s {way} this computer's"
    remedy = f"timedatectl set-ntp true, here and by `clusterctl sshnode {cluster.name} {node.alias}`"
    return Finding(node.alias, "clock", Outcome.WARNING, text, remedy)


def _findings_of_worker(cluster: Cluster, node: Node, answer: NodeAnswer) -> Iterator[Finding]:
    """Yield what the probes of a worker found; those of the master are in the rows of `status`."""
    for row in service_rows(answer.health):
        yield _finding_of_row(cluster, node.alias, row)


def _finding_of_row(cluster: Cluster, alias: str, row: StatusRow) -> Finding:
    remedy = f"clusterctl start {cluster.name}; `clusterctl logs {cluster.name} {alias}` says why"
    outcome = Outcome.OK if row.healthy else Outcome.FAILED
    return Finding(alias, row.item, outcome, row.value, "" if row.healthy else remedy)


def look_at_services(context: RunContext, cluster: Cluster, answer: NodeAnswer) -> list[Finding]:
    """Return what the probes of the master found, and what the plugins see of all nodes."""
    rows = [*service_rows(answer.health), *plugin_rows(context, cluster, answer.health)]
    return [_finding_of_row(cluster, row.node, row) for row in rows]


def look_at_task(cluster: Cluster, answer: NodeAnswer) -> Finding:
    """Run a real task on an engine that has nothing to do, as a user's would run."""
    item, alias = "task", cluster.master.alias
    engines = hub.registered(answer.health.services)
    if engines is None:
        return Finding(alias, item, Outcome.SKIPPED, "there is no controller, or one of an older version")
    if any(service.service == "controller" and service.trouble for service in answer.health.services):
        return Finding(alias, item, Outcome.SKIPPED, "the controller does not work")
    if not engines:
        return Finding(alias, item, Outcome.SKIPPED, "no engine is registered")
    said = hub.ask(cluster, wait_for=sorted(engines), wait_s=_TASK_WAIT_S)
    remedy = f"clusterctl start {cluster.name}; `clusterctl logs {cluster.name}` says why"
    if said.task == hub.BUSY:
        return Finding(alias, item, Outcome.SKIPPED, "all engines are at work")
    trouble = [f"the {part}" for part in said.trouble] + ([said.task] if said.task else [])
    if not said.answered:
        trouble = ["the controller does not answer"]
    if trouble:
        return Finding(alias, item, Outcome.FAILED, "; ".join(trouble), remedy)
    return Finding(alias, item, Outcome.OK, f"one of {plural(len(engines), 'engine')} ran a task")


def missing_nodes(context: RunContext, nodes: Sequence[Node]) -> Iterator[Finding]:
    """Yield the nodes that the cluster shall have and the provider does not know."""
    present = {node.alias for node in nodes}
    for alias in context.folder.wanted_nodes():
        if alias not in present:
            yield Finding(alias, "state", Outcome.FAILED, "is gone", f"clusterctl start {context.name}")
