"""CreateImage, whose image is pending for a look or two, and GetConsoleOutput."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from moto.ec2.utils import random_ami_id

from ..api import wire
from .images import RealAmi
from .launch_data import tags_by_kind
from .lives import utcnow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

BOOT_TEXT = "Cloud-init v. 24.4 finished. Datasource DataSourceEc2Local.  Up 12.34 seconds\n"


def create_image(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """An image of an instance's root disk, available after it was looked at once, or later with a fault."""
    given, backend = request.params, cloud.moto.backend("ec2", request.region)
    (life,) = cloud.lives.named([given["InstanceId"]], request.region)
    if life.state not in ("running", "stopped"):
        raise wire.AwsError("IncorrectState", f"The instance '{life.id}' is not in a state to make an image of.")
    for image in backend.amis.values():
        if image.name == given["Name"] and image.owner_id == backend.account_id:
            message = f"AMI name {given['Name']} is already in use by AMI {image.id}"
            raise wire.AwsError("InvalidAMIName.Duplicate", message)
    it = life.instance
    made = RealAmi(
        backend,
        random_ami_id(),
        instance=it,
        name=given["Name"],
        description=given.get("Description"),
        root_device_type="ebs",
        root_device_name=it.root_device_name,
        region_name=it.placement.zone,
        snapshot_description=f"Created by CreateImage({life.id})",
        boot_mode="uefi-preferred",
    )
    root = it.block_device_mapping[it.root_device_name]
    made.size_gb = backend.volumes[root.volume_id].size
    made.hypervisor, made.image_location = "xen", f"{backend.account_id}/{given['Name']}"
    tags = tags_by_kind(given.get("TagSpecifications", ()))
    backend.tags[made.id].update(tags.get("image", {}))
    backend.tags[made.ebs_snapshot.id].update(tags.get("snapshot", {}))
    made.state, made.ebs_snapshot.status = "pending", "pending"
    cloud.pending_images[made.id] = 1 + request.effects.slow
    backend.amis[made.id] = made
    cloud.sources[made.id] = life.id
    if not given.get("NoReboot") and life.state == "running":
        cloud.rebooted(life.id)
    return {"ImageId": made.id}


def describe_images(cloud: Cloud, request: wire.Request) -> wire.Answer:
    """moto's answer; then time passes for the images that are still being made."""
    answer = cloud.moto.forward(request)
    if not request.straight:
        images = cloud.moto.backend("ec2", request.region).amis
        for identity, left in list(cloud.pending_images.items()):
            if identity not in images or identity.encode() not in answer.body:
                continue
            cloud.pending_images[identity] = left - 1
            if left <= 1:
                del cloud.pending_images[identity]
                images[identity].state = "available"
                images[identity].ebs_snapshot.status = "completed"
    return answer


def deregister_image(cloud: Cloud, request: wire.Request) -> Mapping[str, Any] | wire.Answer:
    """moto's, and the snapshots if that is asked for."""
    backend = cloud.moto.backend("ec2", request.region)
    image = backend.amis.get(request.params["ImageId"])
    answer = cloud.moto.forward(request)
    if image is not None and not answer.error and request.params.get("DeleteAssociatedSnapshots"):
        backend.snapshots.pop(image.ebs_snapshot.id, None)
    return answer


def get_console_output(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """What the machine wrote: what was put in `cloud.consoles`, or a short made-up text."""
    (life,) = cloud.lives.named([request.params["InstanceId"]], request.region)
    text = cloud.consoles.get(life.id, BOOT_TEXT if life.state == "running" else "")
    return {
        "InstanceId": life.id,
        "Timestamp": utcnow(),
        "Output": base64.b64encode(text.encode()).decode(),
    }


HANDLERS = {
    ("ec2", "CreateImage"): create_image,
    ("ec2", "DescribeImages"): describe_images,
    ("ec2", "DeregisterImage"): deregister_image,
    ("ec2", "GetConsoleOutput"): get_console_output,
}
