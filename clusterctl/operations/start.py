"""`start`: from settings to a cluster that answers. Also the way to complete one, to repair it, and to add nodes."""

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
    """What `start` achieved."""

    name: str
    nodes: tuple[Node, ...]
    joined: tuple[str, ...]
    """Nodes that joined now; empty when all were members already."""
    failed: tuple[str, ...]
    problems: tuple[str, ...]
    published: tuple[Published, ...]
    steps: tuple[Step, ...]
    commands: dict[str, int]
    """Remote commands it took, by node."""
    seconds: float
    ok: bool
    """At least MIN_SIZE nodes are members and nothing was reported as wrong with what has joined."""


def start(parts: Parts, *, explicit_size: int | None = None, approve: Approve | None = None) -> Started:
    """Bring the cluster up, or complete it, or find that it runs.

    Args:
        parts: of the run.
        explicit_size: the size if the user gave one: refused where it is not that of a cluster that exists.
        approve: called before nodes are made that cost money; None: nobody asks for prices.

    Raises:
        ClusterctlError: nothing was created, or the master did not join; the message says which.
    """
    planning.check_name(parts.name)
    with parts.folder.locked(), _tunnel_prepared(parts) as waiting:
        before = parts.provider.nodes(parts.name)
        # The journal may have been lost.
        wanted = parts.folder.wanted() or tuple(node.alias for node in before)
        wanted = wanted or planning.aliases(parts.settings.cluster.cluster_size)
        if explicit_size is not None and explicit_size != len(wanted):
            raise UsageError(
                f"{parts.name} exists and has {len(wanted)} nodes",
                remedy=_resize(parts.name, explicit_size - len(wanted)),
            )
        return _bring_up(parts, wanted, before, waiting, approve=approve)


def add_nodes(
    parts: Parts,
    aliases: Sequence[str],
    count: int,
    *,
    differing: Mapping[str, object] | None = None,
    approve: Approve | None = None,
) -> Started:
    """Let new nodes join a cluster that exists: the same as `start`, with more nodes wanted.

    Args:
        parts: of the run.
        aliases: what to call them; empty for the next free numbers.
        count: how many, where no aliases are given.
        differing: fields of a `NodeSpec` in which these nodes differ from the template.
        approve: as of `start`.
    """
    with parts.folder.locked(), _tunnel_prepared(parts) as waiting:
        before = parts.provider.nodes(parts.name)
        have = parts.folder.wanted() or tuple(node.alias for node in before)
        if not have:
            raise UsageError(f"there is no cluster {parts.name}", remedy=f"`clusterctl start {parts.name}` makes one")
        taken = sorted(set(aliases) & set(have))
        if taken:
            raise UsageError(
                f"{', '.join(taken)} exists in {parts.name}", remedy="choose another alias, or leave -a out"
            )
        new = tuple(planning.check_name(alias) for alias in aliases) or planning.next_aliases(have, count)
        special = {alias: dict(differing) for alias in new} if differing else {}
        return _bring_up(parts, (*have, *new), before, waiting, special, approve=approve)


def _resize(name: str, difference: int) -> str:
    command = f"addnode -n {difference}" if difference > 0 else f"removenode -n {-difference}"
    return f"`clusterctl {command} {name}`"


def _tunnel_prepared(parts: Parts) -> AbstractContextManager[Waiting | None]:
    """From the beginning, which leaves a core idle: this computer has to load its own libraries first."""
    return publish.prepared(parts.folder, parts.provider.facets, mode=parts.settings.cluster.tunnel)


def _bring_up(
    parts: Parts,
    wanted: Sequence[str],
    before: Sequence[Node],
    waiting: Waiting | None,
    special: Special | None = None,
    *,
    approve: Approve | None,
) -> Started:
    clock = Clock()
    new = not parts.folder.exists and not before
    try:
        with clock.step("plan"):
            plan = make_plan(parts, wanted, special)
            refuse_problems(parts, plan)
            with clock.stopped():
                agree(parts, plan, before, approve)
            public_key = parts.folder.ensure()
            cluster = parts.cluster((), plan.request)
            prepare(parts, cluster, plan)
            known = {node.alias for node in before}
            plan = from_images(parts, cluster, plan, {spec.alias for spec in plan.nodes} - known)
    except BaseException:
        if new:
            parts.folder.remove()  # nothing was created, so nothing shall be remembered
        raise
    try:
        with clock.step("create"):
            _announce(parts, plan, before)
            nodes = _create(parts, plan, public_key, special=special or {}, new=new)
        outcome = _let_join(parts, cluster, plan, nodes, clock)
        return _finish(parts, cluster, plan, outcome, clock, waiting)
    except (KeyboardInterrupt, SystemExit):
        if new:
            _undo(parts)
        raise
    finally:
        cluster.close()


def _create(parts: Parts, plan: Plan, public_key: str, *, special: Special, new: bool) -> list[Node]:
    """Ask for the machines, written down before. What is refused is not wanted any more: the provider has undone it."""
    wanted = parts.folder.wanted()
    parts.folder.record(
        "create",
        provider=plan.provider,
        template=parts.settings.template,
        overrides=dict(parts.overrides),
        nodes=[spec.alias for spec in plan.nodes],
        special=special,
    )
    try:
        return parts.provider.create(plan, public_key=public_key, report=parts.report)
    except ProviderError:
        if new:
            _forget_if_gone(parts)
        else:
            parts.folder.record("remove", nodes=[spec.alias for spec in plan.nodes if spec.alias not in wanted])
        raise


def _forget_if_gone(parts: Parts) -> None:
    """Forget a cluster whose creation failed; not one of which something is left that must be found again."""
    with suppress(ProviderError):
        if not parts.provider.nodes(parts.name):
            parts.folder.remove()


def _let_join(parts: Parts, cluster: Cluster, plan: Plan, nodes: Sequence[Node], clock: Clock) -> Outcome:
    members = parts.folder.members()
    parts.folder.pin(nodes)
    cluster.admit(nodes)
    aliases = [node.alias for node in nodes if members.get(node.alias) != (node.id, plan.digest)]
    # Whoever joined a master that is gone has to join the new one; a member that is not well may be cured by it.
    if MASTER in aliases or (not aliases and not _is_healthy(parts, cluster)):
        aliases = [node.alias for node in nodes]
    _forget_gone(parts, cluster, members, aliases)
    if aliases:
        parts.say(
            f"Waiting for {plural(len(aliases), 'node')} to join: {' > '.join(parts.host.having('clusterctl_join'))}"
        )
    began = clock.now()
    outcome = join(parts, cluster, plan, aliases, left_s=plan.deadline_s - began)
    clock.steps += shifted(outcome.steps, began)
    with clock.step("members"):
        if aliases:
            members_changed(parts, cluster)
    return outcome


def _finish(
    parts: Parts, cluster: Cluster, plan: Plan, outcome: Outcome, clock: Clock, waiting: Waiting | None
) -> Started:
    there = {node.alias for node in cluster.nodes}
    absent = [spec.alias for spec in plan.nodes if spec.alias not in there]  # the provider has said why
    with clock.step("connect"):
        found = connect(parts, cluster)
    with clock.step("publish"):
        mode = parts.settings.cluster.tunnel
        published = publish.publish(parts.folder, cluster.master, found, mode=mode, waiting=waiting)
    joined = len(there) - len(outcome.failed)
    # A node that did not join is a matter of MIN_SIZE; anything else that is wrong is wrong with what is there.
    missing = {failure(alias, error.message) for alias, error in outcome.failed.items()}
    started = Started(
        name=parts.name,
        nodes=cluster.nodes,
        joined=tuple(outcome.joined),
        failed=(*outcome.failed, *absent),
        problems=tuple(cluster.problems),
        published=tuple(published),
        steps=tuple(clock.steps),
        commands=cluster.commands(),
        seconds=clock.now(),
        ok=joined >= plan.min_size and missing.issuperset(cluster.problems),
    )
    parts.folder.write("timings.json", json.dumps(timings(started), indent=1))
    return started


def timings(started: Started) -> dict[str, object]:
    """What `timings.json` holds. Times are seconds since `start` began."""
    return {
        "seconds": round(started.seconds, 3),
        "commands": started.commands,
        "steps": [asdict(step) for step in started.steps],
    }


def _announce(parts: Parts, plan: Plan, before: Sequence[Node]) -> None:
    running = {node.alias for node in before if node.state == NodeState.RUNNING}
    missing = [spec.alias for spec in plan.nodes if spec.alias not in running]
    if missing:
        parts.say(f"Starting {plural(len(missing), 'node')} of {parts.name} ({plan.provider}): {_shortened(missing)}")


def _is_healthy(parts: Parts, cluster: Cluster) -> bool:
    """Whether every plugin sees its service up on every node."""
    try:
        for name in parts.host.having("clusterctl_status"):
            if not all(row.healthy for row in parts.host.call(name, "clusterctl_status", cluster=cluster) or ()):
                return False
    except ClusterctlError:
        return False
    return True


def _forget_gone(parts: Parts, cluster: Cluster, members: dict[str, tuple[str, str]], joining: Sequence[str]) -> None:
    """A member that comes back as another machine left without a word: say goodbye for it, before it joins."""
    ids = {node.alias: node.id for node in cluster.nodes}
    gone = [alias for alias in joining if alias in members and members[alias][0] != ids[alias]]
    master_stayed = cluster.master.alias not in gone
    if gone and master_stayed:
        for alias in gone:
            say_goodbye(parts, cluster, alias, reachable=False)


def _undo(parts: Parts) -> None:
    parts.say(f"Interrupted: ending what this start made of {parts.name}")
    try:
        publish.withdraw(parts.folder)
        parts.provider.destroy(parts.name)
        parts.folder.remove()
    except BaseException as exc:  # noqa: BLE001  a second Ctrl-C included: the first cause is what counts
        parts.warn(f"nodes may still be running: `clusterctl terminate {parts.name}` ends them ({exc})")


def _shortened(aliases: Sequence[str]) -> str:
    return ", ".join(aliases) if len(aliases) <= 4 else f"{aliases[0]}, {aliases[1]} ... {aliases[-1]}"
