"""The public images of three systems and AWS's own for GPUs, by the SSM parameters that their makers keep.

The parameters' names are as the makers document them: Canonical ("Find Ubuntu images on AWS"), Debian's wiki
("Cloud/AmazonEC2Image") and the EC2 user guide ("Reference the latest AMIs using Systems Manager public parameters");
for GPUs, the guide of the Deep Learning AMIs.
The images' ids, dates and sizes are made up; owners, names' shapes and root devices are the real ones.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from moto.ec2.models.amis import Ami

if TYPE_CHECKING:
    from collections.abc import Iterator

CANONICAL = "099720109477"
DEBIAN = "136693071363"
AMAZON = "137112412989"
DEEP_LEARNING = "898082745236"
_MADE = datetime(2025, 6, 10, 7, 0, tzinfo=timezone.utc)


@dataclass(frozen=True)
class PublicImage:
    """One image of a system for one architecture, as its maker publishes it."""

    parameter: str
    name: str
    architecture: str
    owner: str
    root_device: str
    size_gb: int = 8

    def id_in(self, region: str) -> str:
        """The same id each time; another one in each region, as on AWS."""
        return f"ami-{hashlib.sha256(f'{region} {self.name}'.encode()).hexdigest()[:17]}"


def _all() -> Iterator[PublicImage]:
    for arch, machine in (("amd64", "x86_64"), ("arm64", "arm64")):
        for version, word in (("22.04", "jammy"), ("24.04", "noble")):
            disk = "ebs-gp2" if version == "22.04" else "ebs-gp3"
            kind = "hvm-ssd" if version == "22.04" else "hvm-ssd-gp3"
            name = f"ubuntu/images/{kind}/ubuntu-{word}-{version}-{arch}-server-20250610"
            for each in {disk, "ebs-gp3"}:
                parameter = f"/aws/service/canonical/ubuntu/server/{version}/stable/current/{arch}/hvm/{each}/ami-id"
                yield PublicImage(parameter, name, machine, CANONICAL, "/dev/sda1")
        for version in ("12", "13"):
            parameter = f"/aws/service/debian/release/{version}/latest/{arch}"
            yield PublicImage(parameter, f"debian-{version}-{arch}-20250610-2140", machine, DEBIAN, "/dev/xvda")
        for version in ("22.04", "24.04"):
            kind = f"base-oss-nvidia-driver-gpu-ubuntu-{version}"
            parameter = f"/aws/service/deeplearning/ami/{machine}/{kind}/latest/ami-id"
            name = f"Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu {version}) 20250610 {machine}"
            yield PublicImage(parameter, name, machine, DEEP_LEARNING, "/dev/sda1", size_gb=75)
        for kernel in ("default", "6.1"):
            parameter = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-{kernel}-{machine}"
            name = f"al2023-ami-2023.7.20250609.0-kernel-6.1-{machine}"
            yield PublicImage(parameter, name, machine, AMAZON, "/dev/xvda")


PUBLIC_IMAGES = {image.parameter: image for image in _all()}


class RealAmi(Ami):
    """moto's image with the root disk that was asked for, deleted with its instance as on every public image."""

    size_gb = 8

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        disk = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": self.size_gb,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": disk}]


def seed(backend: Any, region: str) -> None:
    """Make the public images known to moto in this region."""
    for image in PUBLIC_IMAGES.values():
        identity = image.id_in(region)
        if identity in backend.amis:
            continue
        made = RealAmi(
            backend,
            identity,
            name=image.name,
            description=image.name,
            owner_id=image.owner,
            owner_alias="amazon" if image.owner == AMAZON else None,
            public=True,
            virtualization_type="hvm",
            architecture=image.architecture,
            creation_date=_MADE,
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name=image.root_device,
            region_name=f"{region}a",
            image_location=f"{image.owner}/{image.name}",
            boot_mode="uefi-preferred",
        )
        made.size_gb = image.size_gb
        backend.amis[identity] = made
