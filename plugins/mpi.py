"""MPI on the nodes: mpi4py and MPICH, a file that says which hosts there are, and large arrays of groups by MPI."""

from __future__ import annotations

import hashlib
import threading

from clusterctl.api import Cluster, Facet, Node, NoOptions, Note, Plugin, Request, as_user, hookimpl, render

_HOSTS = Note("mpi hosts", dict[str, str])
"""By alias: the node, and which list of hosts it was given."""

_REMOVE = """\
rm -f "$HOME/.clusterctl/mpi/hosts"
rmdir "$HOME/.clusterctl/mpi" "$HOME/.clusterctl" 2>/dev/null || true"""


class Mpi(Plugin[NoOptions]):
    """`mpiexec` over all nodes, and engines that work together by MPI."""

    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        self._lock = threading.Lock()

    @hookimpl
    def clusterctl_request(self) -> Request:
        """What MPI needs, as wheels; and engines are told that `client.together` goes by it."""
        return Request(pip=("mpi4py>=4.1", "mpich>=5", "numpy"), environment={"ENGINE_GROUPS": "mpi"})

    @hookimpl
    def clusterctl_members(self, cluster: Cluster) -> None:
        """Write on each node which hosts there are, where it has another list."""
        lines = _host_lines(cluster)
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
        known = cluster.recall(_HOSTS) or {}
        wanted = {node.alias: f"{node.id} {digest}" for node in cluster.nodes if node.reachable}
        written = {alias: had for alias, had in known.items() if wanted.get(alias) == had}

        def write(node: Node) -> None:
            script = as_user(node, cluster.user, render("mpi_hosts.sh.j2", lines=lines, alias=node.alias))
            cluster.on(node).run_script(f"set -eu\n{script}", name="mpi: hosts", sudo=True)
            with self._lock:
                written[node.alias] = wanted[node.alias]

        try:
            cluster.each(write, [node for node in cluster.nodes if node.alias in wanted.keys() - written.keys()])
        finally:
            cluster.remember(_HOSTS, written)

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Take the list off."""
        script = render("mpi_undo.sh.j2", mark=cluster.mark, remove=as_user(node, cluster.user, _REMOVE))
        cluster.on(node).run_script(script, name="mpi: remove", sudo=True)


def _host_lines(cluster: Cluster) -> list[str]:
    """Return a line for each machine, as MPICH's `mpiexec -f` takes it: its address and its cores."""
    cores: dict[str, int] = {}
    for node in cluster.nodes:
        # Local nodes are one machine, where processes begin without SSH.
        address = node.private_address if Facet.MACHINE in node.facets else "localhost"
        if address:
            cores[address] = cores.get(address, 0) + (node.cores or 1)
    return [f"{address}:{number}" for address, number in cores.items()]
