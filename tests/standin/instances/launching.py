"""Making instances in moto from launch data, with all that EC2 does at a launch and moto does not.

From the API reference and the EC2 user guide: interfaces made at the launch end with their instance; tags of template
and request are put on instances, disks, interfaces and spot requests at birth; EC2 adds tags of its own that name the
template and the fleet; instances of one launch are numbered from 0 and share a reservation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.elastic_block_store import VolumeAttachment
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.utils import random_reservation_id

from ..api import wire
from ..fleets.capacity import SPOT
from . import launch_data
from .launch_data import image_of, tags_by_kind
from .lives import Life, utcnow
from .machines import machine_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud


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
    groups = launch_data.groups(cloud, region=order.region, data=order.data)
    profile = launch_data.profile(cloud, order.data)
    disks = launch_data.disks(image, order.data)
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
        life.boot(cloud.boot_s)
        life.hidden = effects.hidden
        reservation.instances.append(instance)
        cloud.lives.add(life)
        if order.market == SPOT:
            cloud.spot.fulfil(cloud, life, tags=tags.get("spot-instances-request", {}))
        made.append(life)
    return made


def _instance(backend: Any, *, order: Order, groups: list[Any], index: int) -> Any:
    data = order.data
    interfaces = launch_data.interfaces(data)
    nics = []
    for each in interfaces or [{"DeviceIndex": 0}]:
        nic = {key: value for key, value in each.items() if key != "Groups"}
        nics.append({"DeleteOnTermination": True, **nic, "SubnetId": order.subnet})
    first = interfaces[0] if interfaces else {}
    try:
        made = Instance(
            backend,
            data["ImageId"],
            launch_data.user_data(data),
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
