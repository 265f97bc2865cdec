"""Amazon machine images: find the image of a name, and bake images."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.errors import ProviderError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.images import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clusterctl.providers.ec2.aws import Aws

_DEBIAN = {"x86_64": "amd64", "arm64": "arm64"}
SSM_PARAMETERS: Mapping[str, str] = {
    "ubuntu-24.04": "/aws/service/canonical/ubuntu/server/24.04/stable/current/{debian}/hvm/ebs-gp3/ami-id",
    "ubuntu-22.04": "/aws/service/canonical/ubuntu/server/22.04/stable/current/{debian}/hvm/ebs-gp2/ami-id",
    "debian-13": "/aws/service/debian/release/13/latest/{debian}",
    "debian-12": "/aws/service/debian/release/12/latest/{debian}",
    "al2023": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{arch}",
    "gpu": "/aws/service/deeplearning/ami/{arch}/base-oss-nvidia-driver-gpu-ubuntu-{gpu_release}/latest/ami-id",
}
"""Public parameters of Systems Manager with the newest image of each system.

``gpu`` is AWS's image with the drivers and CUDA, on the Ubuntu with this computer's Python where there is one.
Sources: https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/,
https://wiki.debian.org/Cloud/AmazonEC2Image, https://docs.aws.amazon.com/linux/al2023/ug/ec2.html,
https://docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html
"""
_PYTHONS = {(3, 10): "ubuntu-22.04", (3, 11): "debian-12", (3, 12): "ubuntu-24.04", (3, 13): "debian-13"}
_SAVE_S, _SAVE_EVERY_S = 3600.0, 3.0


@dataclass(frozen=True)
class Ami:
    """The facts about an image that a launch needs."""

    id: str
    arch: str
    """``x86_64`` or ``arm64``."""
    root_device: str
    root_gb: int


def default_system() -> str:
    """Return the system with this computer's version of Python: functions that are sent to it can then be loaded."""
    return _PYTHONS.get(sys.version_info[:2], "ubuntu-24.04")


def ssm_parameters() -> dict[tuple[str, str], str]:
    """Return the SSM parameter of each system, by name and architecture."""
    return {(system, arch): _parameter_path(system, arch) for system in SSM_PARAMETERS for arch in _DEBIAN}


def resolve_images(aws: Aws, names: Iterable[str], *, arch: str, known: Mapping[str, str]) -> dict[str, Ami]:
    """Return the image that each name stands for, in two calls at most.

    Args:
        aws: to ask.
        names: ids of images, or names in `SSM_PARAMETERS`; an empty name is the default system.
        arch: architecture of the nodes.
        known: by `image_key`, the ids that names stood for when the cluster was made.

    Raises:
        ProviderError: a name stands for no image.
    """
    systems = {name: name or default_system() for name in names}
    ids = {
        name: system if system.startswith("ami-") else known.get(image_key(name, arch), "")
        for name, system in systems.items()
    }
    unknown = [system for system in systems.values() if not system.startswith("ami-") and system not in SSM_PARAMETERS]
    if unknown:
        raise ProviderError(
            f"there is no image {unknown[0]}", remedy=f"give an id, ami-..., or one of: {', '.join(SSM_PARAMETERS)}"
        )
    paths = {name: _parameter_path(system, arch) for name, system in systems.items() if not ids[name]}
    if paths:
        answer = aws.call("ssm", "get_parameters", Names=sorted(set(paths.values())))
        ids_by_path = {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
        for name, path in paths.items():
            if path not in ids_by_path:
                raise ProviderError(
                    f"{systems[name]} has no image for {arch} in {aws.region}",
                    remedy="choose another system, ARCH or region, or give an image's id",
                )
            ids[name] = ids_by_path[path]
    described = _describe_images(aws, ids.values())
    missing = [image for image in ids.values() if image not in described]
    if missing:
        raise ProviderError(
            f"the image {missing[0]} is not in {aws.region}, or not for you",
            remedy=f"correct NODE_IMAGE_ID, or use one of: {', '.join(SSM_PARAMETERS)}",
        )
    return {name: described[image] for name, image in ids.items()}


def image_key(name: str, arch: str) -> str:
    """Return the key under which the journal keeps an image."""
    return f"{name or default_system()}/{arch}"


def _parameter_path(system: str, arch: str) -> str:
    release = "22.04" if sys.version_info[:2] == (3, 10) else "24.04"
    return SSM_PARAMETERS[system].format(debian=_DEBIAN[arch], arch=arch, gpu_release=release)


def _describe_images(aws: Aws, ids: Iterable[str]) -> dict[str, Ami]:
    # A filter leaves a missing id out of the answer. An argument with the id would make the whole call fail.
    images = aws.call("ec2", "describe_images", Filters=[{"Name": "image-id", "Values": sorted(set(ids))}])["Images"]
    return {image["ImageId"]: _parse_ami(image) for image in images}


def _parse_ami(image: Mapping[str, Any]) -> Ami:
    root_device = image.get("RootDeviceName") or "/dev/xvda"
    disks = {disk.get("DeviceName"): disk.get("Ebs", {}) for disk in image.get("BlockDeviceMappings") or ()}
    return Ami(
        image["ImageId"],
        image.get("Architecture", "x86_64"),
        root_device,
        int(disks.get(root_device, {}).get("VolumeSize", 8)),
    )


def find_baked_image(aws: Aws, base: str, content: str) -> str:
    """Return the id of the newest image with this content on this base; empty if there is none."""
    filters = [tags.filter_by(tags.IMAGE_CONTENT, content), tags.filter_by(tags.IMAGE_BASE, base)]
    usable = [*filters, {"Name": "state", "Values": ["available"]}]
    images = aws.call("ec2", "describe_images", Owners=["self"], Filters=usable)["Images"]
    newest = sorted(images, key=lambda image: str(image.get("CreationDate", "")))
    return str(newest[-1]["ImageId"]) if newest else ""


def list_baked_images(aws: Aws) -> list[Image]:
    """Return the baked images of this region."""
    filters = [{"Name": "tag-key", "Values": [tags.IMAGE_CONTENT]}]
    images = aws.call("ec2", "describe_images", Owners=["self"], Filters=filters)["Images"]
    return [
        Image(
            name=image["ImageId"],
            base=tags.tags_of(image).get(tags.IMAGE_BASE, ""),
            content=tags.tags_of(image)[tags.IMAGE_CONTENT],
            size_gb=float(_parse_ami(image).root_gb),
            made=str(image.get("CreationDate", "")),
        )
        for image in images
    ]


def create_image(aws: Aws, instance: str, *, name: str, resource_tags: Mapping[str, str]) -> str:
    """Make an image of an instance, which reboots for it; wait until the image is available and return its id.

    Args:
        aws: the account.
        instance: its id.
        name: unique in the account and region.
        resource_tags: tags of the image and its snapshots.
    """
    image_id = aws.call(
        "ec2",
        "create_image",
        InstanceId=instance,
        Name=name,
        TagSpecifications=tags.tag_specifications(resource_tags, "image", "snapshot"),
    )["ImageId"]
    state = "pending"
    for _ in Deadline.after(_SAVE_S).polls(_SAVE_EVERY_S):
        images = aws.call("ec2", "describe_images", Filters=[{"Name": "image-id", "Values": [image_id]}])["Images"]
        state = images[0]["State"] if images else "pending"
        if state != "pending":
            break
    if state != "available":
        raise ProviderError(
            f"the image {image_id} is {state}, after {_SAVE_S / 60:.0f} minutes at most",
            remedy=f"`clusterctl image remove {image_id}`, then bake again",
        )
    return str(image_id)


def delete_image(aws: Aws, image: str) -> None:
    """Delete one of our images and its snapshots. A missing image is success."""
    answer = aws.call("ec2", "describe_images", Owners=["self"], Filters=[{"Name": "image-id", "Values": [image]}])
    for described in answer["Images"]:
        aws.call("ec2", "deregister_image", ImageId=image)
        for disk in described.get("BlockDeviceMappings") or ():
            snapshot = disk.get("Ebs", {}).get("SnapshotId")
            if snapshot:
                aws.call("ec2", "delete_snapshot", SnapshotId=snapshot)
