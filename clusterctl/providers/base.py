"""What a provider promises. Four verbs; every other ability is a small protocol of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from clusterctl.model import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clusterctl.events import Event
    from clusterctl.model import Facet, Node, Plan, Problem
    from clusterctl.providers.audits import Audit
    from clusterctl.providers.money import Estimate, Spending

    Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Tell nobody."""
    del event


class Provider(Protocol):
    """Owns machines. Never logs in to one, never prints, never prompts."""

    name: str
    facets: frozenset[Facet]
    """What every node of this provider is."""

    def check(self, plan: Plan) -> list[Problem]:
        """What would stop this plan. Changes nothing."""
        ...

    def create(self, plan: Plan, *, public_key: str, report: Report = ignore) -> list[Node]:
        """Make the nodes of `plan` that do not exist, in one bulk request, tagged at birth.

        Safe to repeat: nodes that run are left alone, those that are stopped or gone are brought back under
        their alias. Returns the nodes of the plan without waiting for them to answer: all of them, or, where
        some cannot be had and a cluster is there without them, those that there are. What it made is undone if it
        fails half-way.

        Args:
            plan: the cluster, and the aliases to have.
            public_key: OpenSSH public key that each node must let in.
            report: told of what takes long, and of what could not be had.

        Raises:
            ProviderError: refused, with the reason; nothing new is left behind.
        """
        ...

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """The nodes that exist, asked of the owner every time, the master first; of all clusters without a name."""
        ...

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these nodes, or the whole cluster and all that belonged to it. Finding nothing is success.

        Raises:
            ProviderError: naming what may be left.
        """
        ...


class Journal(Protocol):
    """What was asked of a provider for one cluster, kept on the laptop: see journal.py."""

    def record(self, event: str, **facts: object) -> None:
        """Append, on the disk before this returns."""
        ...

    def events(self) -> list[dict[str, Any]]:
        """All of it, oldest first."""
        ...


@cache  # a thousand machines have the same
def machine_layout(user: str) -> Layout:
    """Where things live on a machine of its own.

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


@runtime_checkable
class Power(Protocol):
    """A provider whose nodes can be off and come back with their disks."""

    def stop(self, cluster: str) -> None:
        """Power the nodes off, keep their disks."""
        ...


@runtime_checkable
class Rebooting(Protocol):
    """A provider that can boot nodes anew: one that ends when it is powered off, stays."""

    def reboot(self, cluster: str) -> None:
        """Boot the running nodes anew; returns at once."""
        ...


@runtime_checkable
class Consoles(Protocol):
    """A provider that can tell what a node has printed while it booted."""

    def console(self, cluster: str, alias: str) -> str:
        """What a node has written to its console; empty where nothing is known yet."""
        ...


@runtime_checkable
class Doors(Protocol):
    """A provider with a firewall before its nodes."""

    def allow(self, cluster: str) -> tuple[list[str], list[str]]:
        """Let in by SSH who may now by the config, and nobody else: the networks (CIDR), and the former ones."""
        ...


@runtime_checkable
class Images(Protocol):
    """A provider whose nodes start from images, and can become one."""

    def image(self, base: str, content: str) -> str:
        """The name of the baked image of this content, made from `base` (empty: the default); empty without one."""
        ...

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only node, findable by `image`; returns its name."""
        ...

    def images(self) -> list[Image]:
        """The baked images that there are."""
        ...

    def remove_image(self, name: str) -> None:
        """Delete a baked image. Not being there is success."""
        ...


@dataclass(frozen=True)
class Image:
    """A baked image."""

    name: str
    base: str
    content: str
    """The hash of what is in it."""
    size_gb: float
    made: str
    """When, as an ISO 8601 time."""


@dataclass(frozen=True)
class ImageSource:
    """What the image that nodes start from is built on."""

    base: str = ""
    """An image; empty: the usual one."""
    rootfs: Path | None = None
    """A tar of a root file system, in the place of a base image."""
    certificates: tuple[Path, ...] = ()
    """Of authorities that nodes shall trust, PEM."""
    name: str = ""
    """What to call it; empty: as nodes look for it where no image is named."""


@runtime_checkable
class BaseImages(Protocol):
    """A provider whose nodes start from an image that is made on this computer."""

    def build_image(self, source: ImageSource, report: Callable[[str], None]) -> str:
        """Make the image that nodes start from; `report` gets each line that the builder says. Returns its name."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A provider whose nodes cost money."""

    def estimate(self, plan: Plan, there: Sequence[Node]) -> Estimate:
        """What the nodes of `plan` that are not `there` would cost. A price that cannot be had is no error."""
        ...

    def spending(self, cluster: str, nodes: Sequence[Node]) -> Spending:
        """What the nodes of a cluster, as `nodes` returned them, cost. A price that cannot be had is no error."""
        ...


@runtime_checkable
class Audited(Protocol):
    """A provider that can tell how a cluster is kept, and what is left of one that has ended."""

    def audit(self, cluster: str) -> Audit:
        """Its machines, disks and doors, asked of their owner."""
        ...

    def left(self, cluster: str) -> list[str]:
        """Everything that was made for it and is still there, by id; empty when all has ended."""
        ...
