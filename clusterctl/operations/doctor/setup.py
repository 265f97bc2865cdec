"""What `doctor` asks before any node: the config, the provider, the account, and the package index."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.environment.index_answer import ask_source, shown, sources_of
from clusterctl.environment.lock import Index
from clusterctl.errors import ClusterctlError
from clusterctl.operations.doctor.checks import Check, Finding, Outcome, failure
from clusterctl.operations.plan import make_plan
from clusterctl.providers.base import Identified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clusterctl.operations.context import RunContext
    from clusterctl.secret import Secret

CONFIG, PROVIDER, NETWORK = "config", "provider", "network"
_INDEX_S = 10.0
_INDEX_REMEDY = "check the network and the proxy, or name another index in UV_DEFAULT_INDEX or INDEX_URL"


def look_at_config(check: Callable[[], str], load: Callable[[], RunContext]) -> tuple[list[Finding], RunContext | None]:
    """Return what is wrong with the config, and the context of a start with it; None if it cannot be used.

    Args:
        check: checks all sections of the file, and returns a few words on them.
        load: makes the context of a start.
    """
    findings = []
    try:
        findings.append(Finding(CONFIG, "file", Outcome.OK, check()))
    except ClusterctlError as exc:
        findings.append(failure(CONFIG, "file", exc))
    try:
        context = load()
    except ClusterctlError as exc:
        if all(finding.detail != exc.message for finding in findings):
            findings.append(failure(CONFIG, "template", exc))
        return findings, None
    notes = [Finding(CONFIG, "template", Outcome.WARNING, note, "clusterctl config show") for note in context.notes]
    return findings + notes, context


def checks_of_setup(context: RunContext | None, environ: Mapping[str, str]) -> list[Check]:
    """Return the checks of what a start needs.

    Args:
        context: the context of a start; None where the config cannot be used.
        environ: the environment variables.
    """
    if context is None:
        unknown = [(PROVIDER, "plan"), (PROVIDER, "credentials"), (NETWORK, "package index")]
        return [_skip(place, item, "the config cannot be used") for place, item in unknown]
    name = context.provider.name
    return [
        Check(PROVIDER, "plan", f"the provider {name}", lambda: look_at_plan(context)),
        Check(PROVIDER, "credentials", f"the account of {name}", lambda: [look_at_credentials(context)]),
        *_index_checks(context, environ),
    ]


def _skip(place: str, item: str, why: str) -> Check:
    return Check(place, item, "", lambda: [Finding(place, item, Outcome.SKIPPED, why)])


def look_at_plan(context: RunContext) -> list[Finding]:
    """Return what would stop a start, as the provider sees it: a Docker engine that does not answer, say."""
    size = context.settings.cluster.cluster_size
    plan = make_plan(context, context.folder.wanted_nodes() or planning.node_aliases(size))
    problems = context.provider.check(plan)
    if problems:
        return [Finding(PROVIDER, "plan", Outcome.FAILED, one.message, one.remedy) for one in problems]
    text = f"{context.provider.name} takes the template {context.settings.template}"
    return [Finding(PROVIDER, "plan", Outcome.OK, text)]


def look_at_credentials(context: RunContext) -> Finding:
    """Return who the provider takes us for."""
    if not isinstance(context.provider, Identified):
        return Finding(PROVIDER, "credentials", Outcome.SKIPPED, f"{context.provider.name} needs none")
    return Finding(PROVIDER, "credentials", Outcome.OK, context.provider.identity())


def _index_checks(context: RunContext, environ: Mapping[str, str]) -> Sequence[Check]:
    indexes = [index for plugin in context.plugin_host.plugins if (index := _index_of(plugin.plugin))]
    sources = [source for index in indexes for source in sources_of(index, environ)]
    if not sources:
        return [_skip(NETWORK, "package index", "no plugin installs packages")]
    return [
        Check(NETWORK, "package index", shown(one), partial(_look_at_source, one), _INDEX_S, _INDEX_REMEDY)
        for one in sources
    ]


def _index_of(plugin: object) -> Index | None:
    """Return the source of packages of a plugin that installs some."""
    index = getattr(plugin, "index", None)
    return index if isinstance(index, Index) else None


def _look_at_source(source: Secret) -> list[Finding]:
    return [Finding(NETWORK, "package index", Outcome.OK, ask_source(source))]
