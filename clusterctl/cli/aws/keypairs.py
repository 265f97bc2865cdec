"""The commands `listkeypairs`, `createkey` and `removekey`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from clusterctl.cli.arguments import json_option, region_option, yes_option
from clusterctl.cli.needed import needed
from clusterctl.cli.output import confirm_or_decline, show_items
from clusterctl.cli.terminal import echo
from clusterctl.errors import ClusterctlError
from clusterctl.operations.account.key_pairs import KeyRequest, add_key_pair, select_existing
from clusterctl.providers.ec2.account import key_pairs
from clusterctl.wiring import ec2

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = click.Path(path_type=Path)
_PAIRS = {
    "name": "KEY PAIR",
    "id": "ID",
    "type": "TYPE",
    "fingerprint": "FINGERPRINT",
    "created": "CREATED",
    "owner": "MADE BY",
}


class KeyName(click.ParamType[str]):
    """A key pair of the account."""

    name = "key pair"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the key pairs of the region; none where AWS does not answer at once."""
        del param
        try:
            account = ec2.open_account(ctx.find_root().params.get("config"), ctx.params.get("region"), fail_fast=True)
            names = [pair.name for pair in key_pairs.list_key_pairs(account)]
        except ClusterctlError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command()
@region_option
@json_option
@click.pass_context
def listkeypairs(ctx: click.Context, region: str | None, *, as_json: bool) -> None:
    """List the EC2 key pairs of a region. A cluster needs none: it has a key of its own."""
    aws = ec2.open_account(ctx.obj.config, region)
    show_items(key_pairs.list_key_pairs(aws), _PAIRS, as_json=as_json, none=f"No key pairs in {aws.region}.")


@click.command()
@needed("name", example="mykey")
@click.option(
    "-o",
    "--output-file",
    "output",
    type=_FILE,
    help="Write the private key there, for your eyes only; never over another.",
)
@click.option("-i", "--import-key", "source", type=_FILE, help="Let EC2 know this key of yours, private or public.")
@click.option("-t", "--type", "kind", type=click.Choice(["ed25519", "rsa"]), default="ed25519", help="Kind of key.")
@region_option
@click.pass_context
def createkey(
    ctx: click.Context, name: str, output: Path | None, source: Path | None, kind: str, region: str | None
) -> None:
    """Make an EC2 key pair NAME, for instances of your own. Without -o the private key is printed: AWS keeps none."""
    aws = ec2.open_account(ctx.obj.config, region)
    private = add_key_pair(aws, KeyRequest(name, kind, source=source, output=output), owner=ec2.account_owner(aws))
    if private:
        echo(private.reveal().rstrip("\n"))
    echo(f">>> the key pair {name} is in {aws.region}" + (f", its private key in {output}" if output else ""), err=True)


@click.command()
@needed("names", metavar="NAME...", nargs=-1, type=KeyName(), example="mykey", listed_by="listkeypairs")
@yes_option
@region_option
@click.pass_context
def removekey(ctx: click.Context, names: Sequence[str], region: str | None, *, yes: bool) -> None:
    """Delete EC2 key pairs. Instances that let one in go on letting it in; one that is gone already is success."""
    aws = ec2.open_account(ctx.obj.config, region)
    known = select_existing(aws, names)
    if known:
        question = f"Delete the key pair {', '.join(known)} of {aws.region}? Files with its private key stay. Go on?"
        confirm_or_decline(question, yes=yes)
    for name in names:
        if name in known:
            key_pairs.delete_key_pair(aws, name)
        echo(f">>> {name} is gone" if name in known else f">>> there is no key pair {name} in {aws.region}")
