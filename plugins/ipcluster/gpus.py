"""The GPUs of nodes: counted by nvidia-smi where a node joins, and shared out, one to each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.api import Cluster, Node, Note, plural, render, run_reported

if TYPE_CHECKING:
    import threading

    from .options import Options

_GPUS = Note("ipcluster gpus", dict[str, tuple[tuple[int, str], ...]])
"""By alias, what nvidia-smi showed: the number and the id of each GPU. An id that is not known is empty."""
_MOST = 1024
"""As many as there may be engines on a node."""


def wants_gpus(node: Node, options: Options) -> bool:
    """Return whether the node's engines are one a GPU."""
    return options.engines_per_node == "gpu" and not (node.is_master and options.master_engines != "auto")


def number_of_gpus(cluster: Cluster, node: Node) -> int | None:
    """Return how many GPUs the node has; None as long as nobody has counted them."""
    known = (cluster.recall(_GPUS) or {}).get(node.alias)
    return None if known is None else len(known)


def count_gpus(cluster: Cluster, node: Node, lock: threading.Lock) -> None:
    """Ask the node for its GPUs, and keep them. A master with workers may have none.

    Args:
        cluster: the cluster of the node.
        node: the node, which answers.
        lock: held by whoever changes the notes, as workers join side by side.

    Raises:
        RemoteError: the node has none, or nvidia-smi fails there.
    """
    script = render("ipcluster_gpus.sh.j2", spare=node.is_master and bool(cluster.workers))
    facts = run_reported(cluster, node, script, name="ipcluster: count GPUs").facts
    numbered = sorted((int(number), gpu) for number, gpu in facts.items())[:_MOST]
    with lock:
        known = {**(cluster.recall(_GPUS) or {}), node.alias: tuple(numbered)}
        cluster.remember(_GPUS, known)
    ids = {gpu for _, gpu in numbered if gpu}
    members = {member.alias for member in cluster.nodes} - {node.alias}
    others = sorted(alias for alias, gpus in known.items() if alias in members and ids & {gpu for _, gpu in gpus})
    if others:
        cluster.say(
            f"{node.alias} has the same {plural(len(ids), 'GPU')} as {', '.join(others)}: nodes on one computer share"
            " them, and so do their engines"
        )


def forget_gpus(cluster: Cluster, node: Node, lock: threading.Lock) -> None:
    """Forget the GPUs of a node that leaves."""
    with lock:
        known = cluster.recall(_GPUS) or {}
        if known.pop(node.alias, None) is not None:
            cluster.remember(_GPUS, known)


def share_gpus_out(cluster: Cluster, node: Node, ids: range, options: Options) -> dict[str, dict[str, str]]:
    """Return, by the id of each engine, the variables that show it its own GPU alone."""
    if not wants_gpus(node, options):
        return {}
    gpus = (cluster.recall(_GPUS) or {}).get(node.alias, ())
    # CUDA would else put the fastest first, and nvidia-smi numbers them by their place on the bus.
    return {
        str(engine): {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(number)}
        for engine, (number, _) in zip(ids, gpus, strict=False)
    }
