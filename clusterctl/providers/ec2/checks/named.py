"""Checks of what the template names: the key pair, the data volumes, the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.model import MASTER
from clusterctl.providers.ec2 import images
from clusterctl.providers.ec2.checks.context import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.providers.ec2.checks.context import CheckContext


def find_missing_key_pair(context: CheckContext) -> Iterator[Finding]:
    """Yield a key pair that the region does not have. One call."""
    name = context.options.key_name
    filters = [{"Name": "key-name", "Values": [name]}]
    if not context.aws.call("ec2", "describe_key_pairs", Filters=filters)["KeyPairs"]:
        yield Finding(
            f"there is no key pair {name} in {context.aws.region}",
            f"`clusterctl createkey {name} --import-key FILE.pub` makes it of yours;"
            " or leave KEYNAME out: a cluster has a key of its own",
        )


def find_wrong_volumes(context: CheckContext) -> Iterator[Finding]:
    """Yield volumes in another zone than the nodes, and those that something else has. No call of its own."""
    ground = context.ground()
    named = {volume.id for volume in context.plan.volumes}
    for volume in ground.data_volumes:
        if ground.zone != volume.zone:
            yield Finding(
                f"the volume {volume.id} is in {volume.zone}, and AVAILABILITY_ZONE is {ground.zone}",
                "leave AVAILABILITY_ZONE out, or name volumes of that zone",
            )
        own = context.existing.get(MASTER)
        others = [holder for holder in volume.attached_to if own is None or holder != own.id]
        if others and volume.id in named:  # that of the home is waited for: the master before may still end
            yield Finding(
                f"the volume {volume.id} is attached to {others[0]}",
                "end the cluster that uses it, or detach it: a volume can serve one master at a time",
            )


def find_images_without_agent(context: CheckContext) -> Iterator[Finding]:
    """Yield images by name that have no agent of Systems Manager: their nodes would never answer.

    Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html
    """
    systems = {spec.image or images.default_system() for spec in context.missing}
    for system in sorted(systems):
        if system.startswith("debian-"):
            yield Finding(
                f"SSM = yes, and the image {system} has no agent of Systems Manager: no node would answer",
                "set NODE_IMAGE_ID = ubuntu-24.04, ubuntu-22.04 or al2023, or name an image of your own with the agent",
            )
