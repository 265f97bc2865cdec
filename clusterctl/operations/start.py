"""`start`: from settings to a cluster that answers. The same steps complete a cluster, repair it, and add nodes."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ProviderError
from clusterctl.formats import Format
from clusterctl.journal import CONFIG_COPY, describe_overrides
from clusterctl.model import MASTER, Node, NodeState, Plan
from clusterctl.operations import repair
from clusterctl.operations.approval import tell_end
from clusterctl.operations.joining.join import describe_failure, join_nodes, run_connect, run_members, shift_steps
from clusterctl.operations.joining.terms import send_terms
from clusterctl.operations.leave import end_replaced, run_leave
from clusterctl.operations.owning.keys import ensure_key
from clusterctl.operations.owning.record import make_record, refresh_record
from clusterctl.operations.sending.syncing import bring_files
from clusterctl.operations.start_plan import find_wanted_nodes, plan_start
from clusterctl.operations.timing import Step, StepTimer
from clusterctl.text import plural, shorten_list
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import NodeOverrides
    from clusterctl.operations.approval import Approval
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.joining.wavefront import JoinOutcome
    from clusterctl.providers.money import Estimate
    from clusterctl.tunnel.process import StandbyProcess
    from clusterctl.tunnel.publish import LocalEndpoint


_TIMINGS = Format("the timings", 1)
TIMINGS_FILE = "timings.json"
"""The file with the times of the last start, and the version of clusterctl that made it."""


@dataclass(frozen=True)
class StartResult:
    """The result of `start`."""

    name: str
    nodes: tuple[Node, ...]
    joined: tuple[str, ...]
    """Nodes that joined in this run; empty when all were members already."""
    failed: tuple[str, ...]
    problems: tuple[str, ...]
    published: tuple[LocalEndpoint, ...]
    steps: tuple[Step, ...]
    commands: dict[str, int]
    """The number of remote commands, by node."""
    seconds: float
    ok: bool
    """At least MIN_SIZE nodes are members, and no problem was reported with the nodes that joined."""


def start_cluster(
    context: RunContext, *, explicit_size: int | None = None, approval: Approval | None = None
) -> StartResult:
    """Bring the cluster up, complete it, or confirm that it runs.

    Args:
        context: the context of the run.
        explicit_size: the size that the user gave, if any; refused where an existing cluster has another size.
        approval: who is asked before nodes are made that cost money, or engines end; None skips questions and prices.

    Raises:
        ClusterctlError: nothing was created, or the master did not join. The message says which.
    """
    planning.check_name(context.name)
    with context.lock(), prepare_tunnel(context) as waiting:
        end_replaced(context)
        wanted, before = find_wanted_nodes(context, explicit_size)
        return bring_up(context, wanted, before, waiting, approval=approval)


def prepare_tunnel(context: RunContext) -> AbstractContextManager[StandbyProcess | None]:
    """Load the tunnel's libraries from the beginning: a start leaves a core of this computer idle."""
    return publish.prepare_tunnel(context.folder, context.provider.facets, mode=context.settings.cluster.tunnel)


def bring_up(
    context: RunContext,
    wanted: Sequence[str],
    before: Sequence[Node],
    waiting: StandbyProcess | None,
    node_overrides: Mapping[str, NodeOverrides] | None = None,
    *,
    adding: Sequence[str] = (),
    approval: Approval | None,
) -> StartResult:
    """Bring up the nodes that are wanted. The caller holds the cluster's lock.

    Args:
        context: the context of the run.
        wanted: aliases of all nodes that there shall be.
        before: the nodes that exist.
        waiting: a process for the tunnel, if one was prepared.
        node_overrides: what single new nodes have in place of the template's.
        adding: those of `wanted` that the user asked for by a number, not by their names.
        approval: as for `start_cluster`.
    """
    timer = StepTimer()
    new = not context.folder.exists and not before
    with timer.time_step("plan"), context.forget_on_failure(new=new):
        asked = _Pausing(timer, approval) if approval else None
        plan, cluster = plan_start(context, wanted, before, node_overrides, approval=asked)
        public_key = ensure_key(context, before)
    try:
        with timer.time_step("create"):
            _announce_start(context, plan, before)
            tell_end(context, cluster, before)
            nodes = _create_nodes(
                context, plan, public_key, node_overrides=node_overrides or {}, adding=adding, new=new
            )
        cluster.record = make_record(context, [spec.alias for spec in plan.nodes], nodes)
        outcome = _let_join(context, cluster, plan, nodes, timer)
        return _finish_start(context, cluster, plan, outcome, timer, waiting)
    except (KeyboardInterrupt, SystemExit):
        if new:
            _undo_start(context)
        else:
            context.report.warn(
                f"{context.name} is left as it is: `clusterctl start {context.name}` completes it"
                + (f", `removenode -a {','.join(adding)}` ends what was added" if adding else "")
            )
        raise
    finally:
        cluster.close()


class _Pausing:
    """An `Approval` with the timer stopped while the user thinks."""

    def __init__(self, timer: StepTimer, approval: Approval) -> None:
        self._timer = timer
        self._approval = approval

    def allow_cost(self, estimate: Estimate) -> None:
        with self._timer.pause_timer():
            self._approval.allow_cost(estimate)

    def allow_end(self, cluster: str, endings: Sequence[str]) -> None:
        with self._timer.pause_timer():
            self._approval.allow_end(cluster, endings)


def _create_nodes(
    context: RunContext,
    plan: Plan,
    public_key: str,
    *,
    node_overrides: Mapping[str, NodeOverrides],
    adding: Sequence[str],
    new: bool,
) -> list[Node]:
    """Request the machines, after writing the request to the journal.

    Nodes that the provider refuses are no longer wanted: the provider has undone them.
    """
    wanted = context.folder.wanted_nodes()
    context.folder.write_file(CONFIG_COPY, context.settings.copy)
    context.folder.ensure_id()
    context.folder.record(
        "create",
        provider=plan.provider,
        template=context.settings.template,
        overrides=dict(context.overrides),
        config=str(context.named_config.absolute()) if context.named_config else None,
        nodes=[spec.alias for spec in plan.nodes],
        adding=list(adding),
        special={alias: describe_overrides(own) for alias, own in node_overrides.items()},
    )
    try:
        return context.provider.create(plan, public_key=public_key, report=context.report)
    except ProviderError:
        if new:
            _forget_if_gone(context)
        else:
            context.folder.record("remove", nodes=[spec.alias for spec in plan.nodes if spec.alias not in wanted])
        raise


def _forget_if_gone(context: RunContext) -> None:
    """Forget a cluster whose creation failed, unless nodes are left that must be found again."""
    with suppress(ProviderError):
        if not context.provider.nodes(context.name):
            context.folder.delete_folder()


def _let_join(
    context: RunContext, cluster: Cluster, plan: Plan, nodes: Sequence[Node], timer: StepTimer
) -> JoinOutcome:
    members = context.folder.joined_members()
    context.folder.pin_host_keys(nodes)
    cluster.set_nodes(nodes)
    aliases = [node.alias for node in nodes if members.get(node.alias) != (node.id, plan.digest)]
    # Members of a master that is gone must join the new one. A join may also repair an unhealthy member.
    if MASTER in aliases or (not aliases and not repair.find_healthy(context, cluster)):
        aliases = [node.alias for node in nodes]
    _run_leave_for_replaced(context, cluster, members, aliases)
    if aliases:
        plugins = " > ".join(context.plugin_host.plugins_with("clusterctl_join"))
        context.report.say(f"Waiting for {plural(len(aliases), 'node')} to join: {plugins}")
    began = timer.elapsed_s()
    outcome = join_nodes(context, cluster, plan, aliases, left_s=plan.deadline_s - began)
    timer.steps += shift_steps(outcome.steps, began)
    with timer.time_step("members"):
        if aliases:
            run_members(context, cluster)
        refresh_record(context, cluster)
    return outcome


def _finish_start(
    context: RunContext,
    cluster: Cluster,
    plan: Plan,
    outcome: JoinOutcome,
    timer: StepTimer,
    waiting: StandbyProcess | None,
) -> StartResult:
    present = {node.alias for node in cluster.nodes}
    absent = [spec.alias for spec in plan.nodes if spec.alias not in present]  # the provider has reported why
    if context.settings.cluster.files:
        with timer.time_step("files"):
            bring_files(context, cluster, but_not=outcome.failed)
    with timer.time_step("connect"):
        connections = run_connect(context, cluster)
        send_terms(context, cluster)
    with timer.time_step("publish"):
        mode = context.settings.cluster.tunnel
        published = publish.publish_connections(context.folder, cluster.master, connections, mode=mode, standby=waiting)
    joined = len(present) - len(outcome.failed)
    # MIN_SIZE decides about nodes that did not join. Any other problem concerns the nodes that exist.
    missing = {describe_failure(alias, error.message) for alias, error in outcome.failed.items()}
    started = StartResult(
        name=context.name,
        nodes=cluster.nodes,
        joined=tuple(outcome.joined),
        failed=(*outcome.failed, *absent),
        problems=tuple(cluster.problems),
        published=tuple(published),
        steps=tuple(timer.steps),
        commands=cluster.count_commands(),
        seconds=timer.elapsed_s(),
        ok=joined >= plan.min_size and missing.issuperset(cluster.problems),
    )
    context.folder.write_file(TIMINGS_FILE, json.dumps(_TIMINGS.stamp(timings_document(started)), indent=1))
    context.folder.record("completed")  # last: who is killed before it is repeated, and not done twice
    return started


def timings_document(started: StartResult) -> dict[str, object]:
    """Return the content of `timings.json`. Times are seconds since `start` began."""
    return {
        "seconds": round(started.seconds, 3),
        "commands": started.commands,
        "steps": [asdict(step) for step in started.steps],
    }


def _announce_start(context: RunContext, plan: Plan, before: Sequence[Node]) -> None:
    running = {node.alias for node in before if node.state == NodeState.RUNNING}
    missing = [spec.alias for spec in plan.nodes if spec.alias not in running]
    if missing:
        context.report.say(
            f"Starting {plural(len(missing), 'node')} of {context.name} ({plan.provider}): {shorten_list(missing)}"
        )


def _run_leave_for_replaced(
    context: RunContext, cluster: Cluster, members: dict[str, tuple[str, str]], joining: Sequence[str]
) -> None:
    """Run the leave hooks for members that come back as another machine, before the new machine joins."""
    ids = {node.alias: node.id for node in cluster.nodes}
    gone = [alias for alias in joining if alias in members and members[alias][0] != ids[alias]]
    master_stayed = cluster.master.alias not in gone
    if gone and master_stayed:
        for alias in gone:
            run_leave(context, cluster, alias, reachable=False)


def _undo_start(context: RunContext) -> None:
    context.report.say(f"Interrupted: ending what this start made of {context.name}")
    try:
        publish.withdraw_connections(context.folder)
        context.provider.destroy(context.name)
        context.folder.delete_folder()
    except BaseException as exc:  # noqa: BLE001  includes a second Ctrl-C: the first cause counts
        context.report.warn(f"nodes may still be running: `clusterctl terminate {context.name}` ends them ({exc})")
