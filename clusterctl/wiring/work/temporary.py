"""A cluster for the time of a `with` block: what has to be read for it, and who tells the user."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.events import SILENT, Narrator, Reporter
from clusterctl.model import NodeState
from clusterctl.operations.temporary import Before, Temporary, bring_up, end_temporary, find_before
from clusterctl.operations.temporary.leash import leash
from clusterctl.wiring.clusters import known_clusters, resolve_cluster
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def keep_up(
    name: str | None, *, size: int | None, template: str | None, keep: bool, config: str | None, progress: bool
) -> Iterator[str]:
    """Have a cluster up during the body, and yield its name. See `clusterctl.cluster`."""
    if size is not None and size < 1:
        raise ValueError("Number of nodes must be at least 1")
    report = Narrator() if progress else SILENT
    name = name or _choose_name()
    context = load_context(name, config_file=config, report=report)
    before = find_before(context)
    if before == Before.NOTHING:
        changes = {} if size is None else {"cluster_size": str(size)}
        context = load_context(name, config_file=config, template=template, overrides=changes, report=report)
    elif template and template != context.folder.last_template():
        raise UsageError(
            f"{name} exists, and was not started from the template {template}",
            remedy="leave the template out, or choose another name",
        )
    temporary = bring_up(context, before, size)
    try:
        with nullcontext() if keep or before == Before.UP else leash(context):
            yield name
    finally:
        if not keep:
            _end(name, temporary, config, report)
        elif before != Before.UP:
            report.say(f"{name} stays up; `clusterctl terminate {name}` ends it")


def _end(name: str, temporary: Temporary, config: str | None, report: Reporter) -> None:
    if temporary.before == Before.UP:
        return
    try:
        context, trouble = lenient_context(name, config_file=config, report=report, ending=True)
        context.warn_of(trouble)
        end_temporary(context, temporary)
    except BaseException:
        report.warn(
            f"nodes of {name} may still run: `clusterctl list` shows them, `clusterctl terminate {name}` ends them"
        )
        raise


def _choose_name() -> str:
    """Return the name of the only cluster that is up, or a new one."""
    if NodeState.RUNNING in known_clusters().values():
        return resolve_cluster(None)
    return f"temporary-{secrets.token_hex(3)}"
