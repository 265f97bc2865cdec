"""What a launch is asked to be: a template's data with other values over it, and whether EC2 would take it.

Launch data is what RunInstances takes. As the API reference has it: the disks of the image are there with the request's
changes merged in by device name; of tags the later value wins; user data is base64 and at most 16 KB before that.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from moto.core.types import Base64EncodedString

from ..account import check_plan
from ..api import wire
from ..fleets.capacity import SPOT
from .machines import machine_type, zones_offering

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..cloud import Cloud

USER_DATA_LIMIT = 16 * 1024


def merged(template: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A template's data with other values over it. Tags of both are kept, kind by kind; the later value wins."""
    result = {**template, **{key: value for key, value in over.items() if value not in (None, [], {}, "")}}
    result["TagSpecifications"] = [
        {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        for kind, tags in tags_by_kind(
            [*template.get("TagSpecifications", ()), *over.get("TagSpecifications", ())]
        ).items()
    ]
    return result


def tags_by_kind(specifications: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """TagSpecifications as {resource type: {key: value}}."""
    found: dict[str, dict[str, str]] = {}
    for each in specifications:
        found.setdefault(each["ResourceType"], {}).update({tag["Key"]: tag["Value"] for tag in each.get("Tags", ())})
    return found


def check(cloud: Cloud, *, region: str, data: Mapping[str, Any], market: str) -> None:
    """Raise what EC2 would say to this launch whatever the capacity."""
    kind = machine_type(data.get("InstanceType", ""))
    if kind is None or not zones_offering(kind.name, region):
        raise wire.AwsError("InvalidParameterValue", f"Invalid value '{data.get('InstanceType')}' for InstanceType.")
    check_plan(cloud, kind.name)
    image = image_of(cloud, region=region, identity=data.get("ImageId", ""))
    if image.state != "available":
        raise wire.AwsError("InvalidAMIID.Unavailable", f"The image ID '{image.id}' is not available")
    if image.architecture not in kind.architectures:
        raise wire.AwsError(
            "InvalidParameterValue",
            f"The architecture '{','.join(kind.architectures)}' of the specified instance type does not match the"
            f" architecture '{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have"
            " matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to"
            " discover the architecture of the instance type or AMI.",
        )
    tags = tags_by_kind(data.get("TagSpecifications", ()))
    if tags.get("spot-instances-request") and market != SPOT:
        raise wire.AwsError(
            "InvalidParameterValue",
            "You cannot specify tags for Spot instances requests if there are no Spot instances requests being created"
            " by the request.",
        )
    user_data(data)
    disks(image, data)
    groups(cloud, region=region, data=data)
    profile(cloud, data)
    key = data.get("KeyName")
    if key and key not in cloud.moto.backend("ec2", region).key_pairs:
        raise wire.AwsError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")


def image_of(cloud: Cloud, *, region: str, identity: str) -> Any:
    """moto's image."""
    images = cloud.moto.backend("ec2", region).amis
    if not identity:
        raise wire.AwsError("MissingParameter", "The request must contain the parameter ImageId")
    if identity not in images:
        raise wire.AwsError("InvalidAMIID.NotFound", f"The image id '[{identity}]' does not exist")
    return images[identity]


def user_data(data: Mapping[str, Any]) -> Base64EncodedString | None:
    """Checked, still in base64, as moto keeps it."""
    said = data.get("UserData")
    if said is None:
        return None
    try:
        raw = base64.b64decode(str(said), validate=True)
    except binascii.Error:
        raise wire.AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(raw) > USER_DATA_LIMIT:
        raise wire.AwsError("InvalidParameterValue", "User data is limited to 16384 bytes")
    return Base64EncodedString(str(said))


def interfaces(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The network interfaces that are named, or none."""
    return [{"DeviceIndex": 0, **each} for each in data.get("NetworkInterfaces", ())]


def groups(cloud: Cloud, *, region: str, data: Mapping[str, Any]) -> list[Any]:
    """The security groups, of the request or of its first interface; none stands for the default one."""
    backend = cloud.moto.backend("ec2", region)
    first = next(iter(interfaces(data)), {})
    asked = [*data.get("SecurityGroupIds", ()), *data.get("SecurityGroups", ()), *first.get("Groups", ())]
    if first and (data.get("SecurityGroupIds") or data.get("SecurityGroups") or data.get("SubnetId")):
        raise wire.AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same"
            " request",
        )
    found = []
    for each in asked:
        group = backend.get_security_group_by_name_or_id(each)
        if group is None:
            raise wire.AwsError("InvalidGroup.NotFound", f"The security group '{each}' does not exist")
        found.append(group)
    return found


def profile(cloud: Cloud, data: Mapping[str, Any]) -> dict[str, str] | None:
    """The instance profile as DescribeInstances shows it."""
    said = data.get("IamInstanceProfile") or {}
    if not said:
        return None
    for each in cloud.moto.backend("iam", "aws").instance_profiles.values():
        if said.get("Name") == each.name or said.get("Arn") == each.arn:
            return {"Arn": each.arn, "Id": each.id}
    way, value = ("arn", said["Arn"]) if "Arn" in said else ("name", said.get("Name"))
    message = f"Value ({value}) for parameter iamInstanceProfile.{way} is invalid. Invalid IAM Instance Profile {way}"
    raise wire.AwsError("InvalidParameterValue", message)


def disks(image: Any, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The disks by their device names: those of the image with what is asked for over them."""
    found = {each["DeviceName"]: dict(each["Ebs"]) for each in image.block_device_mappings}
    for each in data.get("BlockDeviceMappings", ()):
        if "NoDevice" in each:
            found.pop(each["DeviceName"], None)
            continue
        said = dict(each.get("Ebs", {}))
        before = found.get(each["DeviceName"], {})
        smallest = before.get("VolumeSize", 1)
        if int(said.get("VolumeSize", smallest)) < smallest:
            raise wire.AwsError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {said['VolumeSize']}GB is smaller than snapshot '{before.get('SnapshotId')}',"
                f" expect size>= {smallest}GB",
            )
        found[each["DeviceName"]] = {"DeleteOnTermination": True, **before, **said}
    for each in found.values():
        _check_speed(each)
    return found


def disk_keys(life: Any) -> list[str]:
    """The keys of the encrypted disks that a launch asked for; empty for the account's."""
    disks = [each.get("Ebs", {}) for each in life.data.get("BlockDeviceMappings", ())]
    return [str(disk.get("KmsKeyId") or "") for disk in disks if disk.get("Encrypted")]


def _check_speed(disk: Mapping[str, Any]) -> None:
    """Only some types of volumes take a speed, and io1 and io2 must have one."""
    kind = disk.get("VolumeType") or "gp2"
    if kind in ("io1", "io2") and not disk.get("Iops"):
        raise wire.AwsError("MissingParameter", f"The parameter iops must be specified for {kind} volumes")
    if kind not in ("io1", "io2", "gp3") and disk.get("Iops"):
        raise wire.AwsError("InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes")
    if kind != "gp3" and disk.get("Throughput"):
        said = f"The parameter throughput is not supported for {kind} volumes"
        raise wire.AwsError("InvalidParameterCombination", said)
