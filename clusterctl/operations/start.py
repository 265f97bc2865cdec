"""`start`: from settings to a cluster that answers. The same steps complete a cluster, repair it, and add nodes."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ClusterctlError, ProviderError, UsageError
from clusterctl.model import MASTER, Node, NodeState, Plan, Step
from clusterctl.operations.cost import agree
from clusterctl.operations.image_lookup import from_images
from clusterctl.operations.joining.join import connect, failure, join, members_changed, shifted
from clusterctl.operations.leave import say_goodbye
from clusterctl.operations.plan import make_plan, prepare, refuse_problems
from clusterctl.operations.timing import Clock
from clusterctl.text import plural
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from clusterctl.cluster import Cluster
    from clusterctl.operations.context import Parts
    from clusterctl.operations.cost import Approve
    from clusterctl.operations.joining.wavefront import Outcome
    from clusterctl.operations.plan import Special
    from clusterctl.tunnel.process import Waiting
    from clusterctl.tunnel.publish import Published


@dataclass(frozen=True)
class Started:
    """The result of `start`."""

    name: str
    nodes: tuple[Node, ...]
    joined: tuple[str, ...]
    """Nodes that joined in this run; empty when all were members already."""
    failed: tuple[str, ...]
    problems: tuple[str, ...]
    published: tuple[Published, ...]
    steps: tuple[Step, ...]
    commands: dict[str, int]
    """The number of remote commands, by node."""
    seconds: float
    ok: bool
    """At least MIN_SIZE nodes are members, and no problem was reported with the nodes that joined."""


def start(context: Parts, *, explicit_size: int | None = None, approve: Approve | None = None) -> Started:
    """Bring the cluster up, complete it, or confirm that it runs.

    Args:
        context: the context of the run.
        explicit_size: the size that the user gave, if any; refused where an existing cluster has another size.
        approve: called before nodes are made that cost money; None skips the question and the prices.

    Raises:
        ClusterctlError: nothing was created, or the master did not join. The message says which.
    """
    planning.check_name(context.name)
    with context.folder.locked(), _prepare_tunnel(context) as waiting:
        before = context.provider.nodes(context.name)
        # The journal may have been lost.
        wanted = context.folder.wanted() or tuple(node.alias for node in before)
        wanted = wanted or planning.aliases(context.settings.cluster.cluster_size)
        if explicit_size is not None and explicit_size != len(wanted):
            raise UsageError(
                f"{context.name} exists and has {len(wanted)} nodes",
                remedy=_resize_command(context.name, explicit_size - len(wanted)),
            )
        return _bring_up(context, wanted, before, waiting, approve=approve)


def add_nodes(
    context: Parts,
    aliases: Sequence[str],
    count: int,
    *,
    differing: Mapping[str, object] | None = None,
    approve: Approve | None = None,
) -> Started:
    """Let new nodes join an existing cluster. This is `start` with more nodes wanted.

    Args:
        context: the context of the run.
        aliases: the names of the new nodes; empty for the next free numbers.
        count: how many nodes, where no aliases are given.
        differing: fields of a `NodeSpec` in which these nodes differ from the template.
        approve: as for `start`.
    """
    with context.folder.locked(), _prepare_tunnel(context) as waiting:
        before = context.provider.nodes(context.name)
        present = context.folder.wanted() or tuple(node.alias for node in before)
        if not present:
            raise UsageError(
                f"there is no cluster {context.name}", remedy=f"`clusterctl start {context.name}` makes one"
            )
        taken = sorted(set(aliases) & set(present))
        if taken:
            raise UsageError(
                f"{', '.join(taken)} exists in {context.name}", remedy="choose another alias, or leave -a out"
            )
        new = tuple(planning.check_name(alias) for alias in aliases) or planning.next_aliases(present, count)
        node_overrides = {alias: dict(differing) for alias in new} if differing else {}
        return _bring_up(context, (*present, *new), before, waiting, node_overrides, approve=approve)


def _resize_command(name: str, difference: int) -> str:
    command = f"addnode -n {difference}" if difference > 0 else f"removenode -n {-difference}"
    return f"`clusterctl {command} {name}`"


def _prepare_tunnel(context: Parts) -> AbstractContextManager[Waiting | None]:
    """Load the tunnel's libraries from the beginning: a start leaves a core of this computer idle."""
    return publish.prepared(context.folder, context.provider.facets, mode=context.settings.cluster.tunnel)


def _bring_up(
    context: Parts,
    wanted: Sequence[str],
    before: Sequence[Node],
    waiting: Waiting | None,
    node_overrides: Special | None = None,
    *,
    approve: Approve | None,
) -> Started:
    timer = Clock()
    new = not context.folder.exists and not before
    try:
        with timer.step("plan"):
            plan = make_plan(context, wanted, node_overrides)
            refuse_problems(context, plan)
            with timer.stopped():
                agree(context, plan, before, approve)
            public_key = context.folder.ensure()
            cluster = context.cluster((), plan.request)
            prepare(context, cluster, plan)
            known = {node.alias for node in before}
            plan = from_images(context, cluster, plan, {spec.alias for spec in plan.nodes} - known)
    except BaseException:
        if new:
            context.folder.remove()  # nothing was created, so nothing is remembered
        raise
    try:
        with timer.step("create"):
            _announce_start(context, plan, before)
            nodes = _create_nodes(context, plan, public_key, node_overrides=node_overrides or {}, new=new)
        outcome = _let_join(context, cluster, plan, nodes, timer)
        return _finish_start(context, cluster, plan, outcome, timer, waiting)
    except (KeyboardInterrupt, SystemExit):
        if new:
            _undo_start(context)
        raise
    finally:
        cluster.close()


def _create_nodes(context: Parts, plan: Plan, public_key: str, *, node_overrides: Special, new: bool) -> list[Node]:
    """Request the machines, after writing the request to the journal.

    Nodes that the provider refuses are no longer wanted: the provider has undone them.
    """
    wanted = context.folder.wanted()
    context.folder.record(
        "create",
        provider=plan.provider,
        template=context.settings.template,
        overrides=dict(context.overrides),
        nodes=[spec.alias for spec in plan.nodes],
        special=node_overrides,
    )
    try:
        return context.provider.create(plan, public_key=public_key, report=context.report)
    except ProviderError:
        if new:
            _forget_if_gone(context)
        else:
            context.folder.record("remove", nodes=[spec.alias for spec in plan.nodes if spec.alias not in wanted])
        raise


def _forget_if_gone(context: Parts) -> None:
    """Forget a cluster whose creation failed, unless nodes are left that must be found again."""
    with suppress(ProviderError):
        if not context.provider.nodes(context.name):
            context.folder.remove()


def _let_join(context: Parts, cluster: Cluster, plan: Plan, nodes: Sequence[Node], timer: Clock) -> Outcome:
    members = context.folder.members()
    context.folder.pin(nodes)
    cluster.admit(nodes)
    aliases = [node.alias for node in nodes if members.get(node.alias) != (node.id, plan.digest)]
    # Members of a master that is gone must join the new one. A join may also repair an unhealthy member.
    if MASTER in aliases or (not aliases and not _is_healthy(context, cluster)):
        aliases = [node.alias for node in nodes]
    _run_leave_for_replaced(context, cluster, members, aliases)
    if aliases:
        context.say(
            f"Waiting for {plural(len(aliases), 'node')} to join: {' > '.join(context.host.having('clusterctl_join'))}"
        )
    began = timer.now()
    outcome = join(context, cluster, plan, aliases, left_s=plan.deadline_s - began)
    timer.steps += shifted(outcome.steps, began)
    with timer.step("members"):
        if aliases:
            members_changed(context, cluster)
    return outcome


def _finish_start(
    context: Parts, cluster: Cluster, plan: Plan, outcome: Outcome, timer: Clock, waiting: Waiting | None
) -> Started:
    present = {node.alias for node in cluster.nodes}
    absent = [spec.alias for spec in plan.nodes if spec.alias not in present]  # the provider has reported why
    with timer.step("connect"):
        connections = connect(context, cluster)
    with timer.step("publish"):
        mode = context.settings.cluster.tunnel
        published = publish.publish(context.folder, cluster.master, connections, mode=mode, waiting=waiting)
    joined = len(present) - len(outcome.failed)
    # MIN_SIZE decides about nodes that did not join. Any other problem concerns the nodes that exist.
    missing = {failure(alias, error.message) for alias, error in outcome.failed.items()}
    started = Started(
        name=context.name,
        nodes=cluster.nodes,
        joined=tuple(outcome.joined),
        failed=(*outcome.failed, *absent),
        problems=tuple(cluster.problems),
        published=tuple(published),
        steps=tuple(timer.steps),
        commands=cluster.commands(),
        seconds=timer.now(),
        ok=joined >= plan.min_size and missing.issuperset(cluster.problems),
    )
    context.folder.write("timings.json", json.dumps(timings(started), indent=1))
    return started


def timings(started: Started) -> dict[str, object]:
    """Return the content of `timings.json`. Times are seconds since `start` began."""
    return {
        "seconds": round(started.seconds, 3),
        "commands": started.commands,
        "steps": [asdict(step) for step in started.steps],
    }


def _announce_start(context: Parts, plan: Plan, before: Sequence[Node]) -> None:
    running = {node.alias for node in before if node.state == NodeState.RUNNING}
    missing = [spec.alias for spec in plan.nodes if spec.alias not in running]
    if missing:
        context.say(
            f"Starting {plural(len(missing), 'node')} of {context.name} ({plan.provider}): {_shorten_list(missing)}"
        )


def _is_healthy(context: Parts, cluster: Cluster) -> bool:
    """Return whether every plugin reports its service healthy on every node."""
    try:
        for name in context.host.having("clusterctl_status"):
            if not all(row.healthy for row in context.host.call(name, "clusterctl_status", cluster=cluster) or ()):
                return False
    except ClusterctlError:
        return False
    return True


def _run_leave_for_replaced(
    context: Parts, cluster: Cluster, members: dict[str, tuple[str, str]], joining: Sequence[str]
) -> None:
    """Run the leave hooks for members that come back as another machine, before the new machine joins."""
    ids = {node.alias: node.id for node in cluster.nodes}
    gone = [alias for alias in joining if alias in members and members[alias][0] != ids[alias]]
    master_stayed = cluster.master.alias not in gone
    if gone and master_stayed:
        for alias in gone:
            say_goodbye(context, cluster, alias, reachable=False)


def _undo_start(context: Parts) -> None:
    context.say(f"Interrupted: ending what this start made of {context.name}")
    try:
        publish.withdraw(context.folder)
        context.provider.destroy(context.name)
        context.folder.remove()
    except BaseException as exc:  # noqa: BLE001  includes a second Ctrl-C: the first cause counts
        context.warn(f"nodes may still be running: `clusterctl terminate {context.name}` ends them ({exc})")


def _shorten_list(aliases: Sequence[str]) -> str:
    return ", ".join(aliases) if len(aliases) <= 4 else f"{aliases[0]}, {aliases[1]} ... {aliases[-1]}"
