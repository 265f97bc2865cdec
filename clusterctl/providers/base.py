"""The protocols of providers: four verbs for all, and a small protocol for each further ability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from clusterctl.events import SILENT
from clusterctl.model import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clusterctl.events import Reporter
    from clusterctl.model import Facet, Node, Plan, Problem
    from clusterctl.providers.audits import Audit
    from clusterctl.providers.money import Estimate, Spending


class Provider(Protocol):
    """A provider owns machines. It never logs in to one, never prints, never prompts."""

    name: str
    facets: frozenset[Facet]
    """The facets of every node of this provider."""

    def check(self, plan: Plan, report: Reporter = SILENT) -> list[Problem]:
        """Return the problems that would stop this plan. Changes nothing.

        Args:
            plan: the cluster, and the aliases that it should have.
            report: told what may be wrong and stops nothing.
        """
        ...

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Make the missing nodes of `plan` in one bulk request. They are tagged in the request that creates them.

        Safe to repeat: running nodes are kept; stopped and lost nodes are brought back under their alias. Returns the
        nodes of the plan without waiting until they answer. If some cannot be had and the cluster works without them,
        the others are returned. If the request fails half-way, everything new is undone.

        Args:
            plan: the cluster, and the aliases that it should have.
            public_key: the OpenSSH public key that each node must accept.
            report: told of slow steps, and of nodes that cannot be had.

        Raises:
            ProviderError: the request was refused, with the reason; nothing new is left behind.
        """
        ...

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """Return the existing nodes, read from the cloud every time, master first; of all clusters without a name."""
        ...

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these nodes, or the whole cluster with everything that belongs to it. Finding nothing is success.

        What has the cluster's name and another id stays.

        Raises:
            UnprovenError: this laptop does not know the cluster's id, and there is something of its name.
            ProviderError: a part could not be ended; the message names what may be left.
        """
        ...


class Journal(Protocol):
    """The requests made to a provider for one cluster, kept on the laptop: see journal/."""

    @property
    def cluster_id(self) -> str:
        """The id that tells the cluster from all others of its name; empty if this laptop does not know it."""
        ...

    def ensure_id(self) -> str:
        """Return the cluster's id. A new cluster gets one, which is on the disk when this returns."""
        ...

    def record(self, event: str, **facts: object) -> None:
        """Append an event. It is on the disk when this returns."""
        ...

    def events(self) -> list[dict[str, Any]]:
        """Return all events, oldest first."""
        ...


@cache  # a thousand machines have the same layout
def machine_layout(user: str) -> Layout:
    """Return the paths on a whole machine.

    Args:
        user: the cluster user.
    """
    return Layout(
        env=PurePosixPath("/opt/clusterctl/env"),
        state=PurePosixPath("/var/lib/clusterctl"),
        logs=PurePosixPath("/var/log/clusterctl"),
        run=PurePosixPath("/run/clusterctl"),
        home=PurePosixPath("/home") / user,
        cache=PurePosixPath("/var/cache/clusterctl"),
    )


@dataclass(frozen=True)
class Namesake:
    """What a provider has under the name of a cluster, and under one id."""

    id: str
    owner: str
    """Who made it, as the provider has it."""
    nodes: tuple[str, ...]
    """Aliases of its nodes."""
    since: datetime | None
    """When its oldest node was launched, in UTC; None if that is not known."""
    others: tuple[str, ...] = ()
    """What there is besides nodes."""


@runtime_checkable
class Shared(Protocol):
    """A provider whose machines other people and other computers see, end and name too.

    Only a cluster's id proves whose its nodes are. `destroy`, `stop` and `reboot` touch nothing that has another id.
    """

    def namesakes(self, cluster: str) -> list[Namesake]:
        """Return all that has the name of this cluster, by its id, whoever made it."""
        ...


@runtime_checkable
class Admitting(Protocol):
    """A provider whose own rights are enough to let a key log in to its nodes: whoever has these needs no other key."""

    def admit(self, cluster: str, public_key: str) -> None:
        """Let a key log in to all nodes of a cluster. One that may already is success."""
        ...


@runtime_checkable
class Transferable(Protocol):
    """A provider that lists the nodes of one owner, and whose nodes anybody who may use it may take over."""

    def find_anybodys(self, cluster: str) -> list[Node]:
        """Return all nodes of this name, whoever made them."""
        ...


@runtime_checkable
class Identified(Protocol):
    """A provider that only answers to somebody whom it knows."""

    def identity(self) -> str:
        """Return who it takes us for. Needs no rights.

        Raises:
            ProviderError: it does not answer, or does not know us.
        """
        ...


@runtime_checkable
class Power(Protocol):
    """A provider whose nodes can be stopped and started again with their disks."""

    def stop(self, cluster: str) -> None:
        """Stop the nodes and keep their disks."""
        ...


@runtime_checkable
class Rebooting(Protocol):
    """A provider that can reboot nodes. A node that would end when it is powered off survives a reboot."""

    def reboot(self, cluster: str) -> None:
        """Reboot the running nodes. Returns at once."""
        ...


@runtime_checkable
class Consoles(Protocol):
    """A provider that can return the console output of a node."""

    def console(self, cluster: str, alias: str) -> str:
        """Return the console output of a node; empty if there is none yet."""
        ...


@runtime_checkable
class Firewall(Protocol):
    """A provider with a firewall for its nodes."""

    def allow_ssh(self, cluster: str) -> tuple[list[str], list[str]]:
        """Allow SSH from the networks of the config only. Return the new networks (CIDR) and the former ones."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A provider whose nodes cost money."""

    def estimate_nodes(self, plan: Plan, existing: Sequence[Node]) -> Estimate:
        """Return the cost of the nodes of `plan` that do not exist yet. An unknown price is no error."""
        ...

    def spending(self, cluster: str, nodes: Sequence[Node]) -> Spending:
        """Return the cost of a cluster's nodes, as `Provider.nodes` returned them. An unknown price is no error."""
        ...


@runtime_checkable
class WithGpus(Protocol):
    """A provider that can choose machines by their number of GPUs."""

    def find_gpu_types(self, cluster: str, count: int) -> tuple[str, ...]:
        """Return the types of machines that have so many GPUs, where the cluster is or is to be.

        Raises:
            ProviderError: there is none.
        """
        ...


@runtime_checkable
class Audited(Protocol):
    """A provider that can audit a cluster, and list what is left of an ended one."""

    def audit(self, cluster: str) -> Audit:
        """Return the cluster's machines, disks and ingress rules, as the cloud reports them."""
        ...

    def leftovers(self, cluster: str, cluster_id: str) -> list[str]:
        """Return the ids of everything that was made for a cluster and still exists; empty if all has ended.

        Args:
            cluster: the name of the cluster, which may have ended.
            cluster_id: the id that it has or had.
        """
        ...
