"""Which baked image has what a plan wants: `image bake` names images so, and `start` finds them so."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.providers.base import Images

if TYPE_CHECKING:
    from collections.abc import Collection

    from clusterctl.cluster import Cluster
    from clusterctl.model import Plan
    from clusterctl.operations.context import Parts


def content(cluster: Cluster, plan: Plan) -> str:
    """The hash of what an image of these nodes has beyond its base: packages of the system, and the environment.

    To be asked once the plugins have prepared: one of them resolves the environment.
    """
    wanted = [*sorted(plan.request.apt), "", str(cluster.recall("environment") or "")]
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]


def from_images(parts: Parts, cluster: Cluster, plan: Plan, new: Collection[str]) -> Plan:
    """The plan, with a baked image for each of the `new` nodes that there is a matching one for."""
    if not new or not isinstance(parts.provider, Images):
        return plan
    wanted = content(cluster, plan)
    bases = dict.fromkeys(spec.image for spec in plan.nodes if spec.alias in new)
    found = {base: image for base in bases if (image := parts.provider.image(base, wanted))}
    if found:
        parts.say(f"Using the baked image {', '.join(found.values())}: its packages are there already")
    nodes = [
        replace(spec, image=found[spec.image]) if spec.alias in new and spec.image in found else spec
        for spec in plan.nodes
    ]
    return replace(plan, nodes=tuple(nodes))
