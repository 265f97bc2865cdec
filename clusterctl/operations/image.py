"""`image bake`: install what every node needs on a builder node, and save the builder as an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterctl.clock import Stopwatch
from clusterctl.errors import ProviderError, UsageError
from clusterctl.model import MASTER
from clusterctl.node.render import render
from clusterctl.operations.approval import request_cost
from clusterctl.operations.image_lookup import content_hash
from clusterctl.operations.joining.join import join_nodes
from clusterctl.operations.plan import make_plan, refuse_problems, run_prepare
from clusterctl.providers.images import Images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.events import Reporter
    from clusterctl.model import Plan
    from clusterctl.operations.approval import Approval
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.images import BaseImages, Image, ImageSource

BUILDER_PREFIX = "bake-"
"""The prefix of the builder's cluster name; the image's name follows."""


@dataclass(frozen=True)
class BakeResult:
    """The result of `bake`."""

    image: str
    new: bool
    """False where an image of the same content existed already."""
    seconds: float


def build_base_image(owner: BaseImages, source: ImageSource, report: Reporter) -> tuple[str, float]:
    """Build the image that nodes start from. Return its name, and the seconds that it took.

    Raises:
        UsageError: two bases are named, or a file is not there.
    """
    if source.base and source.rootfs:
        raise UsageError("--base and --rootfs: an image is built on one of them", remedy="leave one of them out")
    files = (*source.certificates, *([source.rootfs] if source.rootfs else []))
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise UsageError(f"there is no file {', '.join(missing)}", remedy="correct the path")
    watch = Stopwatch()
    return owner.build_image(source, report), watch.elapsed_s


@dataclass(frozen=True)
class BakedImage:
    """A baked image and the name of its provider."""

    provider: str
    image: Image


def list_baked_images(owners: Mapping[str, Images], on_failure: Callable[[str], None]) -> list[BakedImage]:
    """Return every baked image of these providers, which are given by name.

    A provider that does not answer is reported to `on_failure`, and hides no images of the others.

    Raises:
        ProviderError: a provider does not answer, and no other has an image.
    """
    images: list[BakedImage] = []
    errors: list[ProviderError] = []
    for name, owner in owners.items():
        try:
            images += [BakedImage(name, image) for image in owner.list_images()]
        except ProviderError as exc:
            errors.append(exc)
    if errors and not images:
        raise errors[0]
    for error in errors:
        on_failure(error.message)
    return images


def bake_image(context: RunContext, *, approval: Approval | None = None) -> BakeResult:
    """Make an image with everything that the nodes of this template need, unless there is one.

    Args:
        context: the context of the run; its cluster name is the builder's: the prefix "bake-" and the image's name.
        approval: who is asked before a builder is made that costs money; None skips the question and the prices.

    Raises:
        ClusterctlError: no image was made, and the builder is gone.
    """
    owner = context.provider
    if not isinstance(owner, Images):
        raise UsageError(
            f"nodes of the provider {owner.name} do not start from images",
            remedy="choose a template of another provider with -c, such as one with PROVIDER = docker",
        )
    watch = Stopwatch()
    with context.lock():
        plan = replace(make_plan(context, (MASTER,)), volumes=(), home_volume=False)
        refuse_problems(context, plan)
        public_key = context.folder.ensure_exists()
        cluster = context.make_cluster((), plan.request)
        try:
            run_prepare(context, cluster, plan)
            base, content_key = plan.nodes[0].image, content_hash(cluster, plan)
            image = owner.find_image(base, content_key)
            new = not image
            if new:
                request_cost(context, plan, (), approval)
                _prepare_builder(context, cluster, plan, public_key)
                image = owner.save_image(context.name, base, content_key)
        except BaseException as cause:
            cluster.close()
            _end_builder_after(context, cause)
            raise
        cluster.close()
        _end_builder(context)
    return BakeResult(image, new, watch.elapsed_s)


def _prepare_builder(context: RunContext, cluster: Cluster, plan: Plan, public_key: str) -> None:
    """Start a builder node and install the content of the image, and nothing else."""
    context.folder.ensure_id()
    context.provider.destroy(context.name)  # the leftovers of a bake that was killed
    _start_builder(context, cluster, plan, public_key)
    _install_content(context, cluster)
    cluster.close()
    context.report.say("Saving the image")


def _start_builder(context: RunContext, cluster: Cluster, plan: Plan, public_key: str) -> None:
    context.report.say(f"Starting the builder ({plan.provider})")
    # Written before asking: if this process is killed, `clusterctl terminate` still ends the builder.
    context.folder.record(
        "create", provider=plan.provider, template=context.settings.template, overrides={}, nodes=[MASTER]
    )
    nodes = context.provider.create(plan, public_key=public_key, report=context.report)
    context.folder.pin_host_keys(nodes)
    cluster.set_nodes(nodes)
    without_plugins = context.with_plugins(context.plugin_host.restrict_to(""))
    join_nodes(without_plugins, cluster, plan, [MASTER], left_s=plan.deadline_s)  # waits only until the node answers


def _install_content(context: RunContext, cluster: Cluster) -> None:
    """Let the plugins install their part of the image, then remove what belongs to this one node."""
    for name in context.plugin_host.plugins_with("clusterctl_bake"):
        context.report.say(f"Baking: {name}")
        context.plugin_host.call_hook(name, "clusterctl_bake", cluster=cluster, node=cluster.master)
    script = render("image_clean.sh.j2", layout=cluster.master.layout)
    cluster.on(cluster.master).run_script(script, name="image: clean", sudo=True)


def _end_builder(context: RunContext) -> None:
    context.provider.destroy(context.name)
    context.folder.delete_folder()


def _end_builder_after(context: RunContext, cause: BaseException) -> None:
    """End the builder after an error. If that fails too, the first cause stays the error that is shown."""
    try:
        _end_builder(context)
    except (ProviderError, KeyboardInterrupt) as exc:
        text = f"the builder may still be running: `clusterctl terminate {context.name}` ends it ({exc})"
        if hasattr(cause, "add_note"):  # Python 3.11
            cause.add_note(text)
        context.report.warn(text)
