"""Making instances in moto from launch data, with all that EC2 does at a launch and moto does not.

Launch data is what RunInstances takes: a template's data with the request's or the override's values over it. As the
API reference has it: the disks of the image are there with the request's changes merged in by device name; interfaces
made at the launch end with their instance; tags of the template and of the request are put on instances, disks,
interfaces and spot requests at birth; EC2 adds tags of its own that name the template and the fleet.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.core.types import Base64EncodedString
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.elastic_block_store import VolumeAttachment
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.utils import random_reservation_id

from . import wire
from .capacity import SPOT
from .lives import Life, utcnow
from .machines import machine_type, zones_offering

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .cloud import Cloud

USER_DATA_LIMIT = 16 * 1024
TAGGABLE = ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu")


@dataclass(frozen=True)
class Order:
    """So many instances of one type in one place."""

    region: str
    zone: str
    subnet: str
    name: str
    market: str
    count: int
    data: Mapping[str, Any]
    template: tuple[str, str] | None = None
    fleet: str = ""
    token: str = ""


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
    _check_tags(tags)
    _user_data(data)
    _disks(image, data)
    _groups(cloud, region=region, data=data)
    _profile(cloud, data)
    key = data.get("KeyName")
    if key and key not in cloud.moto.backend("ec2", region).key_pairs:
        raise wire.AwsError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")


def _check_tags(tags: Mapping[str, Mapping[str, str]]) -> None:
    for kind, pairs in tags.items():
        if kind not in TAGGABLE:
            message = f"'{kind}' is not a valid taggable resource type for this operation."
            raise wire.AwsError("InvalidParameterValue", message)
        for key, value in pairs.items():
            if key.lower().startswith("aws:"):
                message = f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
                raise wire.AwsError("InvalidParameterValue", message)
            if len(key) > 128 or len(value) > 256:
                raise wire.AwsError("InvalidParameterValue", f"Tag {key}: the key or the value is too long")
        if len(pairs) > 50:
            raise wire.AwsError("TagLimitExceeded", "The maximum number of tags for a resource is 50.")


def image_of(cloud: Cloud, *, region: str, identity: str) -> Any:
    """moto's image."""
    images = cloud.moto.backend("ec2", region).amis
    if not identity:
        raise wire.AwsError("MissingParameter", "The request must contain the parameter ImageId")
    if identity not in images:
        raise wire.AwsError("InvalidAMIID.NotFound", f"The image id '[{identity}]' does not exist")
    return images[identity]


def _user_data(data: Mapping[str, Any]) -> Base64EncodedString | None:
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


def _interfaces(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"DeviceIndex": 0, **each} for each in data.get("NetworkInterfaces", ())]


def _groups(cloud: Cloud, *, region: str, data: Mapping[str, Any]) -> list[Any]:
    backend = cloud.moto.backend("ec2", region)
    first = next(iter(_interfaces(data)), {})
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


def _profile(cloud: Cloud, data: Mapping[str, Any]) -> dict[str, str] | None:
    said = data.get("IamInstanceProfile") or {}
    if not said:
        return None
    for profile in cloud.moto.backend("iam", "aws").instance_profiles.values():
        if said.get("Name") == profile.name or said.get("Arn") == profile.arn:
            return {"Arn": profile.arn, "Id": profile.id}
    way, value = ("arn", said["Arn"]) if "Arn" in said else ("name", said.get("Name"))
    message = f"Value ({value}) for parameter iamInstanceProfile.{way} is invalid. Invalid IAM Instance Profile {way}"
    raise wire.AwsError("InvalidParameterValue", message)


def _disks(image: Any, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    disks = {each["DeviceName"]: dict(each["Ebs"]) for each in image.block_device_mappings}
    for each in data.get("BlockDeviceMappings", ()):
        if "NoDevice" in each:
            disks.pop(each["DeviceName"], None)
            continue
        said = dict(each.get("Ebs", {}))
        before = disks.get(each["DeviceName"], {})
        smallest = before.get("VolumeSize", 1)
        if int(said.get("VolumeSize", smallest)) < smallest:
            raise wire.AwsError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {said['VolumeSize']}GB is smaller than snapshot '{before.get('SnapshotId')}',"
                f" expect size>= {smallest}GB",
            )
        disks[each["DeviceName"]] = {"DeleteOnTermination": True, **before, **said}
    return disks


def launch(cloud: Cloud, order: Order, *, effects: Any) -> list[Life]:
    """Make the instances. What could be refused was checked before."""
    backend = cloud.moto.backend("ec2", order.region)
    image = image_of(cloud, region=order.region, identity=order.data["ImageId"])
    tags = tags_by_kind(order.data.get("TagSpecifications", ()))
    own: dict[str, str] = {}
    if order.template:
        own |= {"aws:ec2launchtemplate:id": order.template[0], "aws:ec2launchtemplate:version": order.template[1]}
    if order.fleet:
        own["aws:ec2:fleet-id"] = order.fleet
    reservation = Reservation(random_reservation_id(), owner_id=backend.account_id)
    backend.reservations[reservation.id] = reservation
    groups = _groups(cloud, region=order.region, data=order.data)
    profile = _profile(cloud, order.data)
    disks = _disks(image, order.data)
    made: list[Life] = []
    for index in range(order.count):
        instance = _instance(backend, order=order, groups=groups, index=index)
        instance.iam_instance_profile = profile
        instance.placement.group_name = (order.data.get("Placement") or {}).get("GroupName", "")
        backend.tags[instance.id].update({**tags.get("instance", {}), **own})
        for nic in instance.nics.values():
            backend.tags[nic.id].update(tags.get("network-interface", {}))
        for device, disk in disks.items():
            _attach(backend, instance=instance, device=device, disk=disk, tags=tags.get("volume", {}))
        kind = machine_type(order.name)
        assert kind is not None
        life = Life(
            instance=instance,
            region=order.region,
            kind=kind,
            market=order.market,
            reservation=reservation.id,
            data=dict(order.data),
            fleet=order.fleet,
            token=order.token,
        )
        life.settle("running", slow=effects.slow)
        life.hidden = effects.hidden
        reservation.instances.append(instance)
        cloud.lives.add(life)
        if order.market == SPOT:
            cloud.spot.fulfil(cloud, life, tags=tags.get("spot-instances-request", {}))
        made.append(life)
    return made


def _instance(backend: Any, *, order: Order, groups: list[Any], index: int) -> Any:
    data = order.data
    interfaces = _interfaces(data)
    nics = []
    for each in interfaces or [{"DeviceIndex": 0}]:
        nic = {key: value for key, value in each.items() if key != "Groups"}
        nics.append({"DeleteOnTermination": True, **nic, "SubnetId": order.subnet})
    first = interfaces[0] if interfaces else {}
    try:
        made = Instance(
            backend,
            data["ImageId"],
            _user_data(data),
            groups,
            instance_type=order.name,
            subnet_id=order.subnet,
            region_name=order.region,
            key_name=data.get("KeyName"),
            nics=nics,
            associate_public_ip=first.get("AssociatePublicIpAddress"),
            private_ip=data.get("PrivateIpAddress") if order.count == 1 else None,
            ipv6_address_count=first.get("Ipv6AddressCount") or data.get("Ipv6AddressCount"),
            metadata_options=data.get("MetadataOptions") or {},
            instance_initiated_shutdown_behavior=data.get("InstanceInitiatedShutdownBehavior"),
            ebs_optimized=data.get("EbsOptimized", False),
            disable_api_termination=data.get("DisableApiTermination", False),
            monitoring_state="enabled" if (data.get("Monitoring") or {}).get("Enabled") else "disabled",
            lifecycle="spot" if order.market == SPOT else None,
            client_token=order.token,
            ami_launch_index=index,
        )
    except ServiceException as exc:
        raise wire.AwsError(str(exc.code), str(exc.message)) from exc
    made.launch_time = utcnow()
    return made


def _attach(backend: Any, *, instance: Any, device: str, disk: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    kind = disk.get("VolumeType") or "gp2"
    try:
        volume = backend.create_volume(
            size=disk.get("VolumeSize"),
            zone_name=instance.placement.zone,
            snapshot_id=disk.get("SnapshotId"),
            encrypted=bool(disk.get("Encrypted", False)),
            kms_key_id=disk.get("KmsKeyId"),
            volume_type=kind,
            iops=disk.get("Iops"),
            throughput=disk.get("Throughput"),
        )
    except ServiceException as exc:
        raise wire.AwsError(str(exc.code), str(exc.message)) from exc
    volume.attachment = VolumeAttachment(volume, instance, device, "attached")
    instance.block_device_mapping[device] = BlockDeviceType(
        volume_id=volume.id,
        status="in-use",
        size=volume.size,
        attach_time=instance.launch_time,
        delete_on_termination=bool(disk.get("DeleteOnTermination", True)),
    )
    backend.tags[volume.id].update(tags)
