"""`clusterctl image`: build, bake, list and remove the images that nodes start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from clusterctl.cli.arguments import TEMPLATE_NAME, buy_option, json_option, yes_option
from clusterctl.cli.money import Prompt
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, confirm_or_decline, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.errors import ClusterctlError
from clusterctl.operations.image import BUILDER_PREFIX, bake_image, build_base_image, list_baked_images
from clusterctl.providers.images import ImageSource
from clusterctl.wiring.context import load_context
from clusterctl.wiring.providers import base_image_provider, image_providers

if TYPE_CHECKING:
    from collections.abc import Sequence


_FILE = click.Path(path_type=Path)


class ImageName(click.ParamType[str]):
    """A baked image."""

    name = "image"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the baked images; none where no provider answers."""
        del ctx, param
        try:
            names = [baked.image.name for baked in list_baked_images(image_providers(), _show_warning)]
        except ClusterctlError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.group()
def image() -> None:
    """Make, list and remove the images that nodes start from."""


@image.command()
@click.option("--base", default="", metavar="IMAGE", help="Image of Debian or Ubuntu to build on; default: Debian 12.")
@click.option("--rootfs", type=_FILE, help="Tar of a root file system to build on, where no registry can be reached.")
@click.option(
    "--ca-certificates",
    "certificates",
    type=_FILE,
    multiple=True,
    help="Certificate (PEM) that nodes shall trust, such as that of a proxy; may be given again.",
)
@click.option("-n", "--name", default="", help="What to call it, for NODE_IMAGE_ID; default: what nodes start from.")
@json_option
def build(base: str, rootfs: Path | None, certificates: Sequence[Path], name: str, *, as_json: bool) -> None:
    """Build the image of Docker nodes, on this computer."""
    source = ImageSource(base=base, rootfs=rootfs, certificates=tuple(certificates), name=name)
    with Output(as_json=as_json) as output:
        built, seconds = build_base_image(base_image_provider(), source, output)
    if as_json:
        show_json({"image": built, "seconds": round(seconds, 3)})
    else:
        echo(f">>> {built} is built ({seconds:.0f} s)")


@image.command()
@needed("name", example="myimage")
@click.option(
    "-c",
    "--cluster-template",
    "template",
    type=TEMPLATE_NAME,
    help="The [cluster NAME] section whose nodes it is for.",
)
@buy_option
@json_option
@click.pass_context
def bake(ctx: click.Context, name: str, template: str | None, *, yes: bool, as_json: bool) -> None:
    """Make an image with all packages of a template on it; `start` then finds and uses it by itself.

    Where the node that it is made on costs money, it says what and asks first.
    """
    builder = f"{BUILDER_PREFIX}{name}"
    with Output(as_json=as_json) as output:
        context = load_context(builder, config_file=ctx.obj.config, template=template, report=output)
        baked = bake_image(context, approval=None if yes else Prompt(as_json=as_json))
    if as_json:
        show_json({"image": baked.image, "new": baked.new, "seconds": round(baked.seconds, 3)})
    elif baked.new:
        echo(f">>> {baked.image} is baked ({baked.seconds:.0f} s); `clusterctl start` uses it where it matches")
    else:
        echo(f">>> {baked.image} has all of it already; nothing to do")


@image.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the baked images."""
    listed = list_baked_images(image_providers(), _show_warning)
    if as_json:
        show_json(
            [
                {
                    "name": baked.image.name,
                    "provider": baked.provider,
                    "base": baked.image.base,
                    "content": baked.image.content,
                    "size_gb": round(baked.image.size_gb, 3),
                    "made": baked.image.made,
                }
                for baked in listed
            ]
        )
    elif not listed:
        echo("No baked images. `clusterctl image bake NAME` makes one.")
    else:
        rows = [(b.image.name, b.provider, f"{b.image.size_gb:.2f} GB", b.image.made) for b in listed]
        show_table(("IMAGE", "PROVIDER", "SIZE", "MADE"), rows)


@image.command()
@needed("names", metavar="IMAGE...", nargs=-1, type=ImageName(), example="myimage", listed_by="image list")
@yes_option
def remove(names: Sequence[str], *, yes: bool) -> None:
    """Delete baked images. One that is gone already is success."""
    owners = image_providers()
    holders = {baked.image.name: owners[baked.provider] for baked in list_baked_images(owners, _show_warning)}
    known = [name for name in names if name in holders]
    if known:
        confirm_or_decline(f"Delete the images {', '.join(known)}? Nodes that run go on. Go on?", yes=yes)
    for name in names:
        if name in holders:
            holders[name].remove_image(name)
        echo(f">>> {name} is gone" if name in holders else f">>> there is no baked image {name}")


def _show_warning(text: str) -> None:
    echo(f"*** WARNING - {text}", err=True)
