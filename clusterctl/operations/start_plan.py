"""The plan of a `start`, with every check that comes before a node is asked for. `start --dry-run` shows this plan."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ProviderError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.operations.approval import asking_before_end, find_endings, request_cost
from clusterctl.operations.cost import estimate_cost
from clusterctl.operations.image_lookup import use_baked_images
from clusterctl.operations.joining.losing import refuse_homeless, tell_loss
from clusterctl.operations.owning.proof import refuse_unproven
from clusterctl.operations.plan import make_plan, refuse_problems, run_prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node, NodeOverrides, Plan
    from clusterctl.operations.approval import Approval
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.money import Estimate

_NOT_COPIED = ("logs", "lock", "id_ed25519*", "*.pid")


@dataclass(frozen=True)
class StartPreview:
    """What `start` would do."""

    plan: Plan
    existing: tuple[str, ...]
    """Nodes of the plan that exist already."""
    estimate: Estimate | None
    """The cost of the nodes that do not exist yet; None where nothing costs money, or the prices cannot be had."""
    endings: tuple[str, ...]
    """What of a cluster that runs would end."""


def find_wanted_nodes(context: RunContext, explicit_size: int | None) -> tuple[tuple[str, ...], list[Node]]:
    """Return the aliases that the cluster should have, and the nodes that exist.

    Raises:
        UsageError: the cluster exists and has another size, or may be somebody else's.
    """
    before = context.provider.nodes(context.name)
    refuse_unproven(context, before)
    # The journal may have been lost.
    wanted = context.folder.wanted_nodes() or tuple(node.alias for node in before)
    wanted = wanted or planning.node_aliases(context.settings.cluster.cluster_size)
    if explicit_size is not None and explicit_size != len(wanted):
        raise UsageError(
            f"{context.name} exists and has {len(wanted)} nodes",
            remedy=f"`clusterctl resize -s {explicit_size} {context.name}`",
        )
    return wanted, before


def plan_start(
    context: RunContext,
    wanted: Sequence[str],
    before: Sequence[Node],
    node_overrides: Mapping[str, NodeOverrides] | None = None,
    *,
    approval: Approval | None,
) -> tuple[Plan, Cluster]:
    """Return the plan for these nodes, and the cluster without nodes with which the plugins prepared.

    Everything that refuses a start before a node is asked for is called here: the merge of the plugins' requests, the
    provider's checks, the plugins' preparations, the user's answers. The cluster's folder must exist.

    Args:
        context: the context of the run.
        wanted: aliases of the nodes.
        before: the nodes that exist.
        node_overrides: overrides of the nodes that are requested now.
        approval: who is asked before nodes are made that cost money, or engines end; None skips questions and prices.
    """
    plan = make_plan(context, wanted, node_overrides)
    refuse_homeless(plan, context.provider)
    refuse_problems(context, plan)
    tell_loss(context, plan, before)
    request_cost(context, plan, before, approval)
    cluster = context.make_cluster((), plan.request)
    with asking_before_end(context, cluster, before, approval):
        run_prepare(context, cluster, plan)
    known = {node.alias for node in before}
    return use_baked_images(context, cluster, plan, {spec.alias for spec in plan.nodes} - known), cluster


def preview_start(context: RunContext, *, explicit_size: int | None = None) -> StartPreview:
    """Return what `start` would do now, or raise what it would raise. Makes and changes nothing.

    Args:
        context: the context of the run.
        explicit_size: the size that the user gave, if any.

    Raises:
        ClusterctlError: `start` would refuse, with the same words.
    """
    planning.check_name(context.name)
    with context.folder.lock_if_exists(), _scratch_context(context) as scratch:
        wanted, before = find_wanted_nodes(scratch, explicit_size)
        plan, cluster = plan_start(scratch, wanted, before, approval=None)
        present = {node.alias for node in before}
        existing = tuple(spec.alias for spec in plan.nodes if spec.alias in present)
        estimate = _estimate_leniently(context, plan, before)
        return StartPreview(plan, existing, estimate, tuple(find_endings(cluster, before)))


@contextmanager
def _scratch_context(context: RunContext) -> Iterator[RunContext]:
    """Yield a copy of the context whose cluster folder is a copy too, which is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="clusterctl-dry-run-") as home:
        folder = ClusterFolder(Path(home), context.name)
        if context.folder.path.is_dir():
            shutil.copytree(context.folder.path, folder.path, ignore=_names_to_skip)
        folder.path.mkdir(parents=True, exist_ok=True)
        yield replace(context, folder=folder)


def _names_to_skip(folder: str, names: list[str]) -> set[str]:
    """Return what a dry run does not need: logs and keys, and what is no file, such as a socket."""
    paths = [Path(folder, name) for name in names]
    special = {path.name for path in paths if not (path.is_file() or path.is_dir())}
    return special | shutil.ignore_patterns(*_NOT_COPIED)(folder, names)


def _estimate_leniently(context: RunContext, plan: Plan, before: Sequence[Node]) -> Estimate | None:
    """Return the cost of the plan. A `start --yes` does not ask for prices, so a plan without them is one too."""
    try:
        return estimate_cost(context, plan, before)
    except ProviderError as exc:
        context.report.warn(f"what it would cost is not known: {exc.message}")
        return None
