"""The hooks: every moment at which a plugin may act, in order.

A hook returns data or acts, never both. An implementation takes only the arguments that it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Connection, Node, Plan, Request, StatusRow
    from clusterctl.options import Section
    from clusterctl.service import Busy, ServiceHealth

PROJECT = "clusterctl"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def clusterctl_settings() -> type[Section]:
    """Return the model of this plugin's options. Only for a class that does not derive from ``Plugin[Options]``.

    A static method, since no plugin object exists yet.
    When: before the INI is read. If it raises: error, nothing created.
    """
    raise NotImplementedError


@hookspec
def clusterctl_request() -> Request:
    """Return what every node must have. Merged over all plugins and applied once.

    When: planning; there are no nodes. If it raises: error, nothing created.
    """
    raise NotImplementedError


@hookspec
def clusterctl_prepare(cluster: Cluster, plan: Plan) -> None:
    """Do the work that needs no node: compute a lock, check that a package exists.

    When: before anything is created, in INI order; for `start --dry-run` too, with a copy of the cluster's folder that
    is deleted afterwards. What ends on a cluster that runs, tell `cluster.will_end`: the user is asked. If he says no,
    nothing that you remembered is kept. If it raises: error, nothing created.
    """


@hookspec
def clusterctl_bake(cluster: Cluster, node: Node) -> None:
    """Put onto a builder node what every node needs and no cluster changes: packages, not users or services.

    When: `clusterctl image bake`, in INI order, after `clusterctl_prepare`; the node becomes an image afterwards.
    If it raises: error, no image.
    """


@hookspec
def clusterctl_join(cluster: Cluster, node: Node) -> None:
    """Make this node a member. May run twice on the same node.

    When: the node answers; the plugins before you have acted on it; you have already acted on the master.
    If it raises: this node is reported failed, the others go on; the master failing fails the start.
    """


@hookspec
def clusterctl_members(cluster: Cluster) -> None:
    """Bring up to date what depends on who the members are: hosts files, machine files.

    When: once after a batch of joins or leaves, in INI order. If it raises: reported, the cluster stays.
    """


@hookspec
def clusterctl_connect(cluster: Cluster) -> Connection | Sequence[Connection] | None:
    """Wait until your service answers, and return how the laptop reaches it.

    When: enough nodes have joined, in INI order. If it raises: reported, the cluster stays.
    """
    raise NotImplementedError


@hookspec
def clusterctl_leave(cluster: Cluster, node: Node) -> None:
    """Tell others that the node leaves, and stop what must not run on.

    When: a node leaves or is gone, in reversed INI order. `node.reachable` may be False: then only others can
    be told. If it raises: logged, leaving goes on.
    """


@hookspec
def clusterctl_undo(cluster: Cluster, node: Node) -> None:
    """Take everything that `clusterctl_join` put there off a machine that stays. May run twice on the same node.

    When: a node leaves whose machine outlives the cluster and can be reached, in reversed INI order, each plugin after
    its own `clusterctl_leave`. Elsewhere the machine ends, and nothing need be undone.
    If it raises: logged, leaving goes on.
    """


@hookspec
def clusterctl_run(cluster: Cluster) -> None:
    """Do what the user asked for by name. Without this hook: `clusterctl_join` on every node.

    When: `clusterctl runplugin NAME`. If it raises: error, the cluster stays.
    """


@hookspec
def clusterctl_busy(cluster: Cluster) -> Sequence[Busy]:
    """Return programs that say who still works, so that the cluster does not end for being idle.

    When: enough nodes have joined, in INI order, where the cluster shall end by itself. The programs run on the master.
    If it raises: reported, and the cluster does not end for being idle.
    """
    raise NotImplementedError


@hookspec
def clusterctl_status(cluster: Cluster, services: Sequence[ServiceHealth]) -> Sequence[StatusRow]:
    """Return what you see besides the probes of your services: those have rows already.

    `services` is what the probes of all services on the master have just found, with their facts.
    When: `clusterctl status` and `list`, in INI order; `start`, of a cluster that runs. If it raises: shown as unknown.
    """
    raise NotImplementedError
