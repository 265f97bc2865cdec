"""Tells the master on which terms its cluster ends by itself, and says so to the user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ClusterctlError
from clusterctl.model import Market
from clusterctl.node import ending, services, watch
from clusterctl.notes import Note
from clusterctl.providers.base import Priced
from clusterctl.text import format_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.service import Busy

_IDLE_ON_EC2_S = 20 * 60.0
_LOST_S = 60 * 60.0
CLIENT_S = 5 * 60.0
"""How long a cluster outlives the program that it was started for."""
_SENT = Note("ending terms", bool)
"""Whether the master has terms."""


def send_terms(context: RunContext, cluster: Cluster, *, client_s: float = 0.0) -> None:
    """Have the master go by the terms of the settings. One remote command, and none where there are no terms.

    Args:
        context: the context of the run.
        cluster: the cluster, whose master has joined.
        client_s: so long without a beat of the program that the cluster is for; 0 where it is for no program.
    """
    try:
        terms = _make_terms(context, cluster, client_s=client_s)
        if terms is None and not cluster.recall(_SENT):
            return
        _send(cluster, terms)
    except ClusterctlError as exc:
        cluster.problem(f"{cluster.name} does not end by itself: {exc.message} (try: {exc.remedy})")
        return
    cluster.remember(_SENT, terms is not None)
    if terms:
        for line in describe_terms(terms):
            cluster.say(line)


def _send(cluster: Cluster, terms: ending.Terms | None) -> None:
    """Write the terms to the master. Where nodes end, each must have a watch, whatever its plugins."""
    everybody = terms is not None and (terms.powers_off or terms.stops)

    def send(node: Node) -> str:
        script = ending.terms_script(node, terms) if node.is_master else "set -eu\n"
        script += services.ensure(node, []) if everybody else ""
        try:
            cluster.on(node).run_script(script, name="ending: terms", sudo=True)
        except ClusterctlError as exc:
            if node.is_master:
                raise
            return exc.message
        return ""

    told = cluster.each(send, [node for node in cluster.nodes if node.is_master or (everybody and node.reachable)])
    for alias, trouble in told.items():
        if trouble:
            cluster.problem(f"{alias} may not end with its cluster: {trouble}")


def _make_terms(context: RunContext, cluster: Cluster, *, client_s: float) -> ending.Terms | None:
    """Return the terms; None where the cluster never ends by itself, and nobody is to be told of anything."""
    template, master = context.settings.cluster, cluster.master
    powers_off = watch.powers_off(master)
    on_ec2 = context.provider.name == "ec2"
    idle_s = template.idle_stop if template.idle_stop is not None else _IDLE_ON_EC2_S if on_ec2 else 0.0
    hourly, spent = _find_cost(context, cluster) if template.max_cost else (0.0, 0.0)
    terms = ending.Terms(
        cluster=context.name,
        life=master.id,
        idle_s=idle_s,
        lifetime_s=(template.lifetime or 0.0) * 3600,
        client_s=client_s,
        max_usd=float(template.max_cost or 0),
        hourly_usd=hourly,
        spent_usd=spent,
        lasts=not master.gone_when_off,
        powers_off=powers_off,
        stops=watch.stops_itself(master),
        ignored=template.idle_ignores,
        notify=template.notify.reveal() if template.notify else "",
        on_end=template.on_end or "",
        on_end_s=template.on_end_timeout,
        address=master.private_address if powers_off else "",
        lost_s=_LOST_S if powers_off else 0.0,
        workers=tuple(node.alias for node in cluster.workers if node.reachable),
    )
    if not terms.exist:
        return None
    if terms.ends and powers_off and _would_be_lost(context, master):
        cluster.say(
            f"{context.name} does not end for being idle: its master was made by an earlier version and would be lost;"
            " LIFETIME counts as it did"
        )
        return None
    return replace(terms, programs=find_programs(context, cluster))


def _would_be_lost(context: RunContext, master: Node) -> bool:
    """Return whether a master would be gone that was to be stopped. Versions before this one made such ones."""
    wanted = context.settings.cluster.idle_action == "stop" and master.market != Market.SPOT
    return wanted and master.gone_when_off


def find_programs(context: RunContext, cluster: Cluster) -> tuple[Mapping[str, Any], ...]:
    """Return the programs of plugins that say who works.

    Raises:
        ClusterctlError: a plugin does not say.
    """
    programs: list[Mapping[str, Any]] = []
    for name in context.plugin_host.plugins_with("clusterctl_busy"):
        answer: Sequence[Busy] = context.plugin_host.call_hook(name, "clusterctl_busy", cluster=cluster) or ()
        programs += [ending.busy_program(busy) for busy in answer]
    return tuple(programs)


def _find_cost(context: RunContext, cluster: Cluster) -> tuple[float, float]:
    """Return USD an hour, and USD so far; zeros where nothing costs money."""
    if not isinstance(context.provider, Priced):
        return 0.0, 0.0
    spending = context.provider.spending(context.name, cluster.nodes)
    if not spending.hourly:
        cluster.say("MAX_COST has no effect: what the nodes cost is not known")
    return float(spending.hourly), float(spending.so_far)


def describe_terms(terms: ending.Terms) -> list[str]:
    """Return what a user should know of the end of his cluster."""
    if not terms.ends:
        return []
    causes = []
    if terms.idle_s:
        causes.append(f"once nobody has worked for {format_span(terms.idle_s)} (IDLE_STOP)")
    if terms.lifetime_s:
        causes.append(f"{format_span(terms.lifetime_s)} after it began (LIFETIME)")
    if terms.max_usd and terms.hourly_usd:
        causes.append(f"at {terms.max_usd:g} USD (MAX_COST)")
    if terms.client_s:
        causes.append(f"{format_span(terms.client_s)} after this program is gone")
    if terms.stops:
        what = "its containers stop, with all that is in them"
    elif not terms.powers_off:
        what = "its services stop, its nodes stay"
    elif terms.lasts:
        what = "its workers end, its master stops and keeps its disk"
    else:
        what = "its machines end, with what is on them"
    return [
        f"{terms.cluster} ends by itself {', or '.join(causes)}: {what}; `clusterctl keep {terms.cluster} 2h` keeps it"
    ]


def describe_end(said: ending.Ending) -> str:
    """Return when a cluster ends, for `status`: ``in 14 min (nobody has worked for 6 min)``."""
    if said.phase == "ended":
        return f"it has ended by itself: {said.why}"
    if said.phase == "ending":
        return f"it ends now: {said.why}"
    kept = f", kept for {format_span(said.kept_s)} more" if said.kept_s else ""
    idle = f"idle for {format_span(said.idle_s)}" if not said.busy else f"{said.busy} at work"
    if said.ends_in_s is None:
        return f"not in sight ({idle}{kept})"
    return f"in {format_span(said.ends_in_s)} ({idle}{kept}): {said.why}"
