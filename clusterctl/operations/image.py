"""`image bake`: a node of its own is given what every node needs, and becomes an image."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError, UsageError
from clusterctl.model import MASTER
from clusterctl.node.render import render
from clusterctl.operations.cost import agree
from clusterctl.operations.image_lookup import content
from clusterctl.operations.joining.join import join
from clusterctl.operations.plan import make_plan, prepare, refuse_problems
from clusterctl.providers.base import Images

if TYPE_CHECKING:
    from clusterctl.cluster import Cluster
    from clusterctl.model import Plan
    from clusterctl.operations.context import Parts
    from clusterctl.operations.cost import Approve

PREFIX = "bake-"
"""What the name of the builder's cluster begins with; the image's name follows."""


@dataclass(frozen=True)
class Baked:
    """What `bake` achieved."""

    image: str
    new: bool
    """False where an image of the same content was there already."""
    seconds: float


def bake(parts: Parts, *, approve: Approve | None = None) -> Baked:
    """Make an image that has all that the nodes of this template need, unless there is one.

    Args:
        parts: of the run; the cluster's name is that of the builder, `PREFIX` and the image's name.
        approve: called before a builder is made that costs money; None: nobody asks for prices.

    Raises:
        ClusterctlError: no image was made, and the builder is gone.
    """
    owner = parts.provider
    if not isinstance(owner, Images):
        raise UsageError(
            f"nodes of the provider {owner.name} do not start from images",
            remedy="choose a template of another provider with -c, such as one with PROVIDER = docker",
        )
    began = time.monotonic()
    with parts.folder.locked():
        plan = replace(make_plan(parts, (MASTER,)), volumes=())
        refuse_problems(parts, plan)
        public_key = parts.folder.ensure()
        cluster = parts.cluster((), plan.request)
        try:
            prepare(parts, cluster, plan)
            base, wanted = plan.nodes[0].image, content(cluster, plan)
            image = owner.image(base, wanted)
            new = not image
            if new:
                agree(parts, plan, (), approve)
                _build(parts, cluster, plan, public_key)
                image = owner.save_image(parts.name, base, wanted)
        except BaseException as cause:
            cluster.close()
            _end_builder_after(parts, cause)
            raise
        cluster.close()
        _end_builder(parts)
    return Baked(image, new, time.monotonic() - began)


def _build(parts: Parts, cluster: Cluster, plan: Plan, public_key: str) -> None:
    """Have a node with all that shall be on the image, and nothing else."""
    parts.provider.destroy(parts.name)  # what a killed bake has left
    _make_builder(parts, cluster, plan, public_key)
    _fill(parts, cluster)
    cluster.close()
    parts.say("Saving the image")


def _make_builder(parts: Parts, cluster: Cluster, plan: Plan, public_key: str) -> None:
    parts.say(f"Starting the builder ({plan.provider})")
    # Written before asking, so that whoever kills us can still end what we made: `clusterctl terminate`.
    parts.folder.record(
        "create", provider=plan.provider, template=parts.settings.template, overrides={}, nodes=[MASTER]
    )
    nodes = parts.provider.create(plan, public_key=public_key, report=parts.report)
    parts.folder.pin(nodes)
    cluster.admit(nodes)
    nobody = parts.with_host(parts.host.only(""))
    join(nobody, cluster, plan, [MASTER], left_s=plan.deadline_s)  # only until it answers


def _fill(parts: Parts, cluster: Cluster) -> None:
    """Let the plugins put on it what they have for an image, and take off what belongs to this one node."""
    for name in parts.host.having("clusterctl_bake"):
        parts.say(f"Baking: {name}")
        parts.host.call(name, "clusterctl_bake", cluster=cluster, node=cluster.master)
    script = render("image_clean.sh.j2", layout=cluster.master.layout)
    cluster.on(cluster.master).run_script(script, name="image: clean", sudo=True)


def _end_builder(parts: Parts) -> None:
    parts.provider.destroy(parts.name)
    parts.folder.remove()


def _end_builder_after(parts: Parts, cause: BaseException) -> None:
    """The same, and if that fails too, the first cause is still what is told."""
    try:
        _end_builder(parts)
    except (ProviderError, KeyboardInterrupt) as exc:
        text = f"the builder may still be running: `clusterctl terminate {parts.name}` ends it ({exc})"
        if hasattr(cause, "add_note"):  # Python 3.11
            cause.add_note(text)
        parts.warn(text)
