"""The commands `listvolumes`, `createvolume`, `resizevolume` and `removevolume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from clusterctl.cli.arguments import json_option, region_option, yes_option
from clusterctl.cli.needed import needed
from clusterctl.cli.output import confirm_or_decline, show_items, show_json
from clusterctl.cli.terminal import echo
from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.operations.account.volumes import add_volume, list_matching, refuse_reserved_tags, select_deletable
from clusterctl.providers.ec2.account import volumes
from clusterctl.wiring import ec2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clusterctl.providers.ec2.account.volumes import ListedVolume

_TYPES = ("gp3", "gp2", "io1", "io2", "st1", "sc1", "standard")
_STATES = ("creating", "available", "in-use", "deleting", "deleted", "error")
_ATTACHED = ("attaching", "attached", "detaching", "detached")
_COLUMNS = {
    "id": "VOLUME",
    "name": "NAME",
    "size_gb": "GB",
    "type": "TYPE",
    "state": "STATE",
    "zone": "ZONE",
    "attached_to": "ATTACHED TO",
    "encrypted": "ENCRYPTED",
    "created": "CREATED",
}


class VolumeId(click.ParamType[str]):
    """A volume of the account."""

    name = "volume"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the volumes of the region, with their names; none where AWS does not answer at once."""
        del param
        try:
            account = ec2.open_account(ctx.find_root().params.get("config"), ctx.params.get("region"), fail_fast=True)
            listed = volumes.list_volumes(account)
        except ClusterctlError:
            return []
        matching = [volume for volume in listed if volume.id.startswith(incomplete)]
        return [CompletionItem(volume.id, help=volume.name or None) for volume in matching]


@click.command()
@click.option("-n", "--name", help="Only those of this Name.")
@click.option("-d", "--show-deleted", is_flag=True, help="Those that are being deleted, too.")
@click.option("-v", "--volume-id", type=VolumeId(), help="Only this one.")
@click.option("-s", "--size", type=click.IntRange(min=1), help="Only those of so many GB.")
@click.option("-S", "--status", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("-a", "--attach-status", type=click.Choice(_ATTACHED), help="Only those that are attached so.")
@click.option("-z", "--zone", help="Only those of this zone.")
@click.option("-i", "--snapshot-id", help="Only those made from this snapshot.")
@click.option("-t", "--tag", "marks", multiple=True, metavar="KEY[=VALUE],...", help="Only those with these tags.")
@region_option
@json_option
@click.pass_context
def listvolumes(ctx: click.Context, /, region: str | None, *, as_json: bool, show_deleted: bool, **chosen: Any) -> None:
    """List the EBS volumes of a region."""
    aws = ec2.open_account(ctx.obj.config, region)
    own_tags = _parse_tags(chosen.pop("marks"))
    any_filter = own_tags or any(chosen.values())
    show_items(
        list_matching(aws, chosen, own_tags, show_deleted=show_deleted),
        _COLUMNS,
        as_json=as_json,
        none=f"No such volumes in {aws.region}." if any_filter else f"No volumes in {aws.region}.",
    )


def _parse_tags(texts: Iterable[str]) -> dict[str, str]:
    """Return tags such as ``a=b,c`` as a mapping. A key without a value has an empty one."""
    pairs = [part.strip().partition("=") for text in texts for part in text.split(",") if part.strip()]
    return {key.strip(): value.strip() for key, _, value in pairs}


@click.command()
@needed("size", type=click.IntRange(min=1), example="100")
@needed("zone", example="us-east-1a", listed_by="listzones")
@click.option("-n", "--name", default="", help="What to call it.")
@click.option("-t", "--tag", "marks", multiple=True, metavar="KEY=VALUE,...", help="Tags of your own.")
@click.option("-T", "--type", "kind", type=click.Choice(_TYPES), default="gp3", show_default=True, help="Kind of disk.")
@click.option("--iops", type=click.IntRange(min=100), help="Operations a second, for gp3, io1, io2.")
@click.option(
    "--encrypted/--not-encrypted", default=True, show_default=True, help="Whether AWS encrypts what is on it."
)
@click.option("--kms-key", default="", help="Key of KMS that encrypts it; default: the account's key for EBS.")
@json_option
@click.pass_context
def createvolume(ctx: click.Context, /, size: int, zone: str, *, encrypted: bool, as_json: bool, **chosen: Any) -> None:
    """Make a blank EBS volume of SIZE GB in ZONE. A cluster makes the file system when it mounts it first."""
    own_tags = _parse_tags(chosen["marks"])
    refuse_reserved_tags(own_tags)
    aws = ec2.open_account(ctx.obj.config, volumes.region_of_zone(zone))
    if chosen["kms_key"] and not encrypted:
        raise UsageError("--kms-key encrypts, and --not-encrypted does not", remedy="give one of them")
    wish = volumes.VolumeRequest(
        size_gb=size,
        zone=zone,
        type=chosen["kind"],
        iops=chosen["iops"],
        encrypted=encrypted,
        kms_key=chosen["kms_key"],
    )
    made = add_volume(aws, wish, name=chosen["name"], own_tags=own_tags, owner=ec2.account_owner(aws))
    if as_json:
        show_json({"id": made.id, "size_gb": made.size_gb, "zone": made.zone})
        return
    echo(f">>> {made.id} is made: {size} GB {made.type} in {zone}. To have it on a cluster:")
    section = chosen["name"] if chosen["name"].isidentifier() else "data"
    echo(f"\n[volume {section}]\nVOLUME_ID = {made.id}\nMOUNT_PATH = /{section}\nFORMAT = yes\n")
    echo(f"and `VOLUMES = {section}` in its [cluster NAME] section.")


@click.command()
@needed("volume_id", metavar="VOLUME", type=VolumeId(), example="vol-0123456789abcdef0", listed_by="listvolumes")
@needed("size", type=click.IntRange(min=1), example="100")
@region_option
@click.pass_context
def resizevolume(ctx: click.Context, volume_id: str, size: int, region: str | None) -> None:
    """Let an EBS volume grow to SIZE GB where it is, while it is used. What is on it stays."""
    before = volumes.resize_volume(ec2.open_account(ctx.obj.config, region), volume_id, size)
    echo(f">>> {volume_id} has {size} GB ({before.size_gb} before)")
    echo(_explain_growth(before))


def _explain_growth(volume: ListedVolume) -> str:
    when = "when a cluster mounts it next"
    if volume.attachments:
        when += ", or now with `clusterctl runplugin volumes NAME`"
    return f"    its file system grows {when}; one on a partition only after the partition (`growpart`)"


@click.command()
@needed("ids", metavar="VOLUME...", nargs=-1, type=VolumeId(), example="vol-0123456789abcdef0", listed_by="listvolumes")
@yes_option
@region_option
@click.pass_context
def removevolume(ctx: click.Context, ids: Sequence[str], region: str | None, *, yes: bool) -> None:
    """Delete EBS volumes and all that is on them. One that is attached is refused, and then none is deleted."""
    aws = ec2.open_account(ctx.obj.config, region)
    existing = select_deletable(aws, ids)
    if existing:
        description = ", ".join(
            f"{volume.id} ({volume.size_gb} GB{f', {volume.name}' if volume.name else ''})"
            for volume in existing.values()
        )
        confirm_or_decline(f"Delete {description} of {aws.region}, and all that is on it?", yes=yes)
    for id_ in ids:
        if id_ in existing:
            volumes.delete_volume(aws, id_)
        echo(f">>> {id_} is gone" if id_ in existing else f">>> there is no volume {id_} in {aws.region}")
