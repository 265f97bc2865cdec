"""Stop the notebook, the engines and the controller, and leave the nodes up."""

from __future__ import annotations

from clusterctl.api import Cluster, Node, NoOptions, Plugin, hookimpl, services


class IPClusterStop(Plugin[NoOptions]):
    """`clusterctl runplugin ipclusterstop`; `clusterctl start` or `runplugin ipcluster` brings all of it back."""

    @hookimpl
    def clusterctl_run(self, cluster: Cluster) -> None:
        """Stop the services on every node, the engines before the controller."""

        def stop(node: Node) -> None:
            names = ["engine", "notebook", "controller"] if node.is_master else ["engine"]
            cluster.on(node).run_script(services.stop(node, names), name="ipcluster: stop", sudo=True)

        cluster.say(f"Stopping ipyparallel on {len(cluster.nodes)} nodes")
        cluster.each(stop, cluster.workers)
        cluster.each(stop, [cluster.master])
