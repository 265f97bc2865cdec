"""The lookup of baked images by their content. `image bake` labels images with this hash, and `start` looks it up."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.notes import ENVIRONMENT
from clusterctl.providers.images import Images

if TYPE_CHECKING:
    from collections.abc import Collection

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Plan
    from clusterctl.operations.context import RunContext


def content_hash(cluster: Cluster, plan: Plan) -> str:
    """Return the hash of what an image of these nodes adds to its base: system packages and the Python environment.

    Call it after the plugins have prepared: one of them resolves the environment.
    """
    lines = [*sorted(plan.request.apt), "", cluster.recall(ENVIRONMENT) or ""]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def use_baked_images(context: RunContext, cluster: Cluster, plan: Plan, new: Collection[str]) -> Plan:
    """Return the plan with a baked image for each of the `new` nodes that has a matching one."""
    if not new or not isinstance(context.provider, Images):
        return plan
    content_key = content_hash(cluster, plan)
    bases = dict.fromkeys(spec.image for spec in plan.nodes if spec.alias in new)
    baked = {base: image for base in bases if (image := context.provider.find_image(base, content_key))}
    if baked:
        context.report.say(f"Using the baked image {', '.join(baked.values())}: its packages are there already")
    nodes = [
        replace(spec, image=baked[spec.image]) if spec.alias in new and spec.image in baked else spec
        for spec in plan.nodes
    ]
    return replace(plan, nodes=tuple(nodes))
