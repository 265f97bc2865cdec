"""Restart every engine on every node, at once; the controller and the engines' ids stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.api import (
    Cluster,
    ClusterctlError,
    Deadline,
    Field,
    Node,
    Plugin,
    PluginError,
    RemoteError,
    Section,
    hookimpl,
    hub,
    plural,
    services,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Options(Section):
    """The options of the `ipclusterrestart` plugin."""

    restart_timeout: float = Field(120.0, gt=0, le=86_400, description="seconds to wait until all engines are back")


class IPClusterRestart(Plugin[Options]):
    """`clusterctl runplugin ipclusterrestart`."""

    @hookimpl
    def clusterctl_run(self, cluster: Cluster) -> None:
        """Restart the engines, and return when the controller has the new ones."""
        ids = hub.engine_ids(cluster)
        nodes = [node for node in cluster.nodes if ids.get(node.alias)]
        wanted = [number for node in nodes for number in ids[node.alias]]
        if not wanted:
            raise PluginError(
                f"no engines were set up on {cluster.name}",
                remedy=f"run `clusterctl start {cluster.name}` first",
            )
        deadline = Deadline.after(self.options.restart_timeout)
        before = _empty_queue(cluster)
        cluster.say(f"Restarting {plural(len(wanted), 'engine')} on {plural(len(nodes), 'node')}")

        def restart(node: Node) -> None:
            cluster.on(node).run_script(
                services.restart(node, ["engine"]), name="ipcluster: restart engines", sudo=True
            )

        try:
            cluster.each(restart, nodes)
        except RemoteError as exc:
            if services.is_missing(exc):
                raise PluginError(
                    f"no engines run on {exc.node}", remedy=f"`clusterctl start {cluster.name}` starts them"
                ) from exc
            raise
        answer = hub.ask(cluster, wait_for=wanted, wait_s=deadline.left_s, but_not=before)
        missing = [n for n in wanted if answer.engines.get(n, before.get(n)) == before.get(n)]
        if missing:
            where = [alias for alias, numbers in ids.items() if set(numbers) & set(missing)]
            raise PluginError(
                f"{plural(len(missing), 'engine')} did not come back, on {', '.join(where)}",
                remedy=f"see `clusterctl logs {cluster.name} {where[0]}`",
            )
        cluster.say(f"{plural(len(wanted), 'engine')} on {plural(len(nodes), 'node')} are back")


def _empty_queue(cluster: Cluster) -> Mapping[int, str]:
    """Have the tasks that wait end with an error, and return who is registered: new engines would begin with them."""
    try:
        return hub.cancel_work(cluster, engines=False).engines
    except ClusterctlError:  # a controller of an older version, or none
        return hub.ask(cluster).engines
