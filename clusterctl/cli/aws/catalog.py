"""The commands `listregions`, `listzones` and `listimages`: the regions, zones and images that AWS offers."""

from __future__ import annotations

import click

from clusterctl.cli.arguments import json_option, region_option
from clusterctl.cli.output import show_items
from clusterctl.providers.ec2 import images
from clusterctl.providers.ec2.account import listing
from clusterctl.wiring import ec2

_IMAGES = {"system": "NODE_IMAGE_ID", "arch": "ARCH", "id": "IMAGE", "made": "MADE", "name": "NAME"}


@click.command()
@json_option
@click.pass_context
def listregions(ctx: click.Context, *, as_json: bool) -> None:
    """List the AWS regions that the account can use."""
    regions = listing.list_regions(ec2.open_account(ctx.obj.config))
    show_items(regions, {"name": "REGION", "endpoint": "ENDPOINT"}, as_json=as_json, none="No regions.")


@click.command()
@region_option
@json_option
@click.pass_context
def listzones(ctx: click.Context, region: str | None, *, as_json: bool) -> None:
    """List the availability zones of a region."""
    aws = ec2.open_account(ctx.obj.config, region)
    columns = {"name": "ZONE", "id": "ID", "state": "STATE", "kind": "KIND"}
    show_items(listing.list_zones(aws), columns, as_json=as_json, none=f"No zones in {aws.region}.")


@click.command()
@region_option
@json_option
@click.pass_context
def listimages(ctx: click.Context, region: str | None, *, as_json: bool) -> None:
    """List the images for NODE_IMAGE_ID: the baked ones, and the newest of each system that has a name."""
    aws = ec2.open_account(ctx.obj.config, region)
    listed = [*listing.list_baked_images(aws), *listing.list_system_images(aws, images.ssm_parameters())]
    show_items(listed, _IMAGES, as_json=as_json, none=f"No images in {aws.region}.")
