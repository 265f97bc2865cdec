"""The size of a node for a job: by processors, memory, GPUs or type."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import model
from clusterctl.errors import UsageError
from clusterctl.model import NO_BID, Market, NodeOverrides
from clusterctl.planning import worker_market
from clusterctl.providers.base import WithGpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.config.cluster_section import ClusterSection
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_COUNT = re.compile(r"([CMG])([1-9]\d{0,3})")
_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_GB_A_PROCESSOR = 8
"""Of types that are made for memory. A processor number must be named, and the least that has such types is meant."""


@dataclass(frozen=True)
class Size:
    """What a node must have."""

    text: str
    vcpus: int | None = None
    memory_gb: int | None = None
    gpus: int | None = None
    types: tuple[str, ...] = ()
    """Instance types. Those with so many GPUs are known once the provider was asked."""

    def fits(self, node: Node, asked_for: NodeOverrides) -> bool:
        """Return whether a node is known to have it: by itself, or by what was asked for when it was made."""
        if self.types:
            return node.type in self.types
        vcpus, memory_gb = node.cores or asked_for.vcpus or 0, asked_for.memory_gb or 0
        return vcpus >= (self.vcpus or 1) and memory_gb >= (self.memory_gb or 0)

    def overrides(self, *, spot: bool | None) -> NodeOverrides:
        """Return what a new node has in place of the template's."""
        market = Market.NONE if spot is None else (Market.SPOT if spot else Market.ON_DEMAND)
        return NodeOverrides(self.types, market, NO_BID, vcpus=self.vcpus, memory_gb=self.memory_gb)

    def options(self, template: ClusterSection, *, spot: bool | None) -> dict[str, str]:
        """Return the options of a cluster of one such node, in place of its template's."""
        types = ", ".join(self.types)
        options = {"cluster_size": "1", "node_instance_type": types, "master_instance_type": types}
        if self.vcpus:
            options["vcpus"] = str(self.vcpus)
        if self.memory_gb:
            options["memory_gb"] = str(self.memory_gb)
        if template.spot_bid is not None:  # it is meant for the template's types
            options |= {"spot_bid": "", "market": str(worker_market(template))}
        if spot is not None:
            options |= {"market": str(Market.SPOT if spot else Market.ON_DEMAND)}
        return options | {"force_spot_master": "no" if spot is False else "yes"}


def parse_size(text: str, own: Mapping[str, tuple[str, ...]] | None = None) -> Size:
    """Return the size that is meant by ``C16`` (processors), ``M64`` (GB), ``G1`` (GPUs), or an instance type.

    Args:
        text: what the user has typed.
        own: the user's names for instance types, in lower case. They come first.

    Raises:
        UsageError: it is none.
    """
    if own and (types := own.get(text.lower())):
        return Size(text, types=types)
    match = _COUNT.fullmatch(text)
    if match and match[1] == "C":
        return Size(text, vcpus=int(match[2]))
    if match and match[1] == "M":
        memory_gb = int(match[2])
        return Size(text, vcpus=max(2, 2 ** math.ceil(math.log2(memory_gb / _GB_A_PROCESSOR))), memory_gb=memory_gb)
    if match:
        return Size(text, gpus=int(match[2]))
    if _TYPE.fullmatch(text):
        return Size(text, types=(text,))
    raise UsageError(
        f"-i {text}: not understood",
        remedy="C16 is 16 processors, M64 is 64 GB of memory, G1 is 1 GPU; or name an instance type"
        + (f", or one of [sizes]: {', '.join(sorted(own))}" if own else ""),
    )


def settle_types(context: RunContext, size: Size) -> Size:
    """Return the size with the types that the provider has for its number of GPUs, where it is one.

    Raises:
        UsageError: the provider's nodes are not chosen by their GPUs.
        ProviderError: it has no such type.
    """
    if size.gpus is None:
        return size
    if not isinstance(context.provider, WithGpus):
        raise UsageError(
            f"-i {size.text}: nodes of {context.provider.name} are not chosen by their GPUs",
            remedy="leave -i out: the job sees the GPUs of its node",
        )
    return replace(size, types=context.provider.find_gpu_types(context.name, size.gpus))


def find_idle(context: RunContext, nodes: Sequence[Node], jobs: Sequence[JobStatus], size: Size) -> Node | None:
    """Return the smallest node of that size on which no job runs or waits; None if there is none."""
    busy = {job.node for job in jobs if job.state in model.UNDER_WAY}
    own, cluster = context.folder.node_overrides(), context.settings.cluster
    # The template's numbers are those of its nodes where it names no types.
    usual = NodeOverrides(vcpus=cluster.vcpus, memory_gb=cluster.memory_gb)
    usual = NodeOverrides() if cluster.node_instance_type else usual

    def processors(node: Node) -> float:
        return node.cores or own.get(node.alias, usual).vcpus or 0

    idle = [node for node in nodes if size.fits(node, own.get(node.alias, usual)) and node.alias not in busy]
    return min(idle, key=processors, default=None)
