"""The commands `listinstances`, `listspots` and `showconsole`: the instances of an AWS account, ours and others."""

from __future__ import annotations

import click

from clusterctl.cli.arguments import CLUSTER_NAME, NODE_NAME, json_option, region_option
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, show_items
from clusterctl.cli.terminal import echo
from clusterctl.operations.account.console import find_instance
from clusterctl.providers.ec2.account import listing
from clusterctl.wiring import ec2
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

_INSTANCES = {
    "id": "INSTANCE",
    "cluster": "CLUSTER",
    "alias": "NODE",
    "name": "NAME",
    "state": "STATE",
    "type": "TYPE",
    "market": "MARKET",
    "zone": "ZONE",
    "public_address": "PUBLIC",
    "private_address": "PRIVATE",
    "launched": "LAUNCHED",
}
_SPOTS = {
    "id": "REQUEST",
    "cluster": "CLUSTER",
    "state": "STATE",
    "status": "STATUS",
    "instance": "INSTANCE",
    "type": "TYPE",
    "zone": "ZONE",
    "max_price_usd": "MAX $/H",
    "created": "CREATED",
}


@click.command()
@click.option("-t", "--show-terminated", "ended", is_flag=True, help="Those that are ended, too.")
@region_option
@json_option
@click.pass_context
def listinstances(ctx: click.Context, region: str | None, *, ended: bool, as_json: bool) -> None:
    """List the EC2 instances of a region, of clusters and others."""
    aws = ec2.open_account(ctx.obj.config, region)
    instances = listing.list_instances(aws, ended=ended)
    show_items(instances, _INSTANCES, as_json=as_json, none=f"No instances in {aws.region}.")


@click.command()
@click.option("-c", "--show-closed", "closed", is_flag=True, help="Those that are over, too.")
@region_option
@json_option
@click.pass_context
def listspots(ctx: click.Context, region: str | None, *, closed: bool, as_json: bool) -> None:
    """List the requests for spot instances of a region, of clusters and others."""
    aws = ec2.open_account(ctx.obj.config, region)
    requests = listing.list_spot_requests(aws, closed=closed)
    show_items(requests, _SPOTS, as_json=as_json, none=f"No requests for spot instances in {aws.region}.")


@click.command()
@needed("name", metavar="INSTANCE|CLUSTER", type=CLUSTER_NAME, example="mycluster")
@click.argument("node", required=False, type=NODE_NAME)
@region_option
@click.pass_context
def showconsole(ctx: click.Context, name: str, node: str | None, region: str | None) -> None:
    """Show what an EC2 instance, or a NODE of a cluster (default: the master), has written to its console."""
    if name.startswith("i-") and node is None:
        instance, aws = name, ec2.open_account(ctx.obj.config, region)
    else:
        with Output() as output:
            context, _ = lenient_context(resolve_cluster(name), config_file=ctx.obj.config, report=output)
        place = find_instance(context, node or "master")
        instance, aws = place.id, ec2.account_of_section(context.settings.aws, region or place.region)
    text = listing.read_console(aws, instance)
    echo(text or f"{instance} has written nothing yet: its console is seen some minutes after the boot.")
