"""DescribeInstances and DescribeInstanceStatus: what may be seen of each instance, filtered and in pages.

Fields, filters and paging follow the API reference: MaxResults is 5 to 1000 and may not come with ids; a page counts
instances, so a reservation may be spread over two; an instance that has ended has no addresses and no groups.
Without MaxResults EC2 may cut the answer as well; here it is cut at 1000 instances.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..api import wire
from ..api.filters import holds
from .lives import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..cloud import Cloud
    from .lives import Life

ACCOUNT = "123456789012"


def tags_of(life: Life) -> dict[str, str]:
    """The tags of an instance. moto's own look-up goes through all tags of all things."""
    found: dict[str, str] = life.instance.ec2_backend.tags.get(life.id, {})
    return found


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def view(life: Life) -> dict[str, Any]:
    """An instance as DescribeInstances shows it."""
    it, state = life.instance, life.state
    gone = state == "terminated"
    public = it.public_ip if state == "running" else None
    shown: dict[str, Any] = {
        "InstanceId": life.id,
        "ImageId": it.image_id,
        "InstanceType": life.kind.name,
        "State": {"Code": CODES[state], "Name": state},
        "PrivateDnsName": "" if gone else it.private_dns_name,
        "PublicDnsName": it.public_dns_name if public else "",
        "StateTransitionReason": it._reason if life.settled in ("stopped", "terminated") else "",
        "KeyName": it.key_name,
        "AmiLaunchIndex": it.ami_launch_index,
        "ProductCodes": [],
        "LaunchTime": it.launch_time,
        "Placement": {
            "AvailabilityZone": it.placement.zone,
            "GroupName": it.placement.group_name,
            "Tenancy": "default",
        },
        "Monitoring": {"State": it.monitoring_state},
        "Architecture": it.architecture,
        "ClientToken": life.token,
        "EbsOptimized": bool(it.ebs_optimized),
        "EnaSupport": True,
        "Hypervisor": "xen",
        "RootDeviceName": it.root_device_name,
        "RootDeviceType": "ebs",
        "SourceDestCheck": it.source_dest_check,
        "VirtualizationType": "hvm",
        "Tags": tag_list(tags_of(life)),
        "BlockDeviceMappings": [] if gone else _disks(it),
        "SecurityGroups": [] if gone else _groups(it),
        "NetworkInterfaces": [] if gone else _interfaces(life),
        "MetadataOptions": {
            "State": "pending" if state == "pending" else "applied",
            "HttpTokens": it.metadata_options.http_tokens,
            "HttpPutResponseHopLimit": it.metadata_options.http_put_response_hop_limit,
            "HttpEndpoint": it.metadata_options.http_endpoint,
            "HttpProtocolIpv6": it.metadata_options.http_protocol_ipv6,
            "InstanceMetadataTags": it.metadata_options.instance_metadata_tags,
        },
        "CpuOptions": {"CoreCount": max(1, life.kind.vcpus // 2), "ThreadsPerCore": 1 if life.kind.vcpus == 1 else 2},
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "CurrentInstanceBootMode": "uefi",
    }
    if not gone:
        shown |= {"PrivateIpAddress": it.private_ip, "SubnetId": it.subnet_id, "VpcId": it.vpc_id}
        shown["Ipv6Address"] = next(iter(it.nics[0].ipv6_addresses), None)
    if public:
        shown["PublicIpAddress"] = public
    if life.market == "spot":
        shown |= {"InstanceLifecycle": "spot", "SpotInstanceRequestId": life.spot_request}
    if it.iam_instance_profile:
        shown["IamInstanceProfile"] = it.iam_instance_profile
    if life.reason and life.settled in ("stopped", "terminated"):
        shown["StateReason"] = {"Code": life.reason[0], "Message": life.reason[1]}
    elif state == "pending":
        shown["StateReason"] = {"Code": "pending", "Message": "pending"}
    return shown


def _groups(instance: Any) -> list[dict[str, str]]:
    return [{"GroupId": group.id, "GroupName": group.name} for group in instance.nics[0].group_set]


def _disks(instance: Any) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": device,
            "Ebs": {
                "VolumeId": disk.volume_id,
                "Status": "attached",
                "AttachTime": disk.attach_time,
                "DeleteOnTermination": disk.delete_on_termination,
            },
        }
        for device, disk in instance.block_device_mapping.items()
    ]


def _interfaces(life: Life) -> list[dict[str, Any]]:
    return [_interface(life, index, nic) for index, nic in sorted(life.instance.nics.items())]


def _interface(life: Life, index: int, nic: Any) -> dict[str, Any]:
    private: dict[str, Any] = {"PrivateIpAddress": nic.private_ip_address, "Primary": True}
    shown = {
        "NetworkInterfaceId": nic.id,
        "SubnetId": nic.subnet.id,
        "VpcId": nic.subnet.vpc_id,
        "OwnerId": ACCOUNT,
        "Status": "in-use",
        "MacAddress": nic.mac_address,
        "PrivateIpAddress": nic.private_ip_address,
        "PrivateIpAddresses": [private],
        "SourceDestCheck": nic.source_dest_check,
        "Groups": [{"GroupId": group.id, "GroupName": group.name} for group in nic.group_set],
        "Ipv6Addresses": [{"Ipv6Address": each, "IsPrimaryIpv6": False} for each in nic.ipv6_addresses],
        "Attachment": {
            "AttachmentId": nic.attachment_id,
            "DeviceIndex": index,
            "Status": "attached",
            "AttachTime": nic.attach_time,
            "DeleteOnTermination": nic.delete_on_termination,
            "NetworkCardIndex": 0,
        },
        "InterfaceType": "interface",
    }
    if nic.public_ip and life.state == "running":
        association = {
            "PublicIp": nic.public_ip,
            "PublicDnsName": life.instance.public_dns_name,
            "IpOwnerId": "amazon",
        }
        shown["Association"] = private["Association"] = association
    return shown


def _attribute(life: Life, name: str) -> Iterable[str]:
    """The values that a filter looks at."""
    it = life.instance
    gone = life.state == "terminated"
    simple: dict[str, Any] = {
        "instance-id": life.id,
        "instance-state-name": life.state,
        "instance-state-code": str(CODES[life.state]),
        "instance-type": life.kind.name,
        "instance-lifecycle": "spot" if life.market == "spot" else None,
        "spot-instance-request-id": life.spot_request or None,
        "image-id": it.image_id,
        "availability-zone": it.placement.zone,
        "architecture": it.architecture,
        "client-token": life.token,
        "key-name": it.key_name,
        "launch-index": str(it.ami_launch_index),
        "launch-time": wire.aws_time(it.launch_time),
        "placement-group-name": it.placement.group_name or None,
        "reservation-id": life.reservation,
        "owner-id": ACCOUNT,
        "root-device-name": it.root_device_name,
        "private-ip-address": None if gone else it.private_ip,
        "private-dns-name": None if gone else it.private_dns_name,
        "ip-address": it.public_ip if life.state == "running" else None,
        "network-interface.addresses.private-ip-address": None if gone else it.private_ip,
        "subnet-id": None if gone else it.subnet_id,
        "vpc-id": None if gone else it.vpc_id,
    }
    if name in ("instance.group-id", "network-interface.group-id"):
        return [] if gone else [group.id for group in it.nics[0].group_set]
    if name == "instance.group-name":
        return [] if gone else [group.name for group in it.nics[0].group_set]
    if name == "block-device-mapping.volume-id":
        return [disk.volume_id for disk in it.block_device_mapping.values()]
    if name not in simple:
        raise wire.AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return [] if simple[name] is None else [simple[name]]


def seen(cloud: Cloud, request: wire.Request) -> list[Life]:
    """The instances that this request asks for and may see. To look at one lets its time pass."""
    given = request.params
    ids = given.get("InstanceIds") or []
    found = cloud.lives.named(ids, request.region) if ids else cloud.lives.of(request.region)
    shown: list[Life] = []
    for life in found:
        if not holds(given.get("Filters", ()), tags=tags_of(life), attribute=partial(_attribute, life)):
            continue
        if life.hidden > 0 and not request.straight:
            life.hidden -= 1
        else:
            shown.append(life)
    return shown


def describe_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The reservations with the instances that were asked for."""
    if request.params.get("InstanceIds") and request.params.get("MaxResults"):
        raise wire.AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    page, token = wire.page(seen(cloud, request), request, most=1000)
    reservations: dict[str, dict[str, Any]] = {}
    for life in page:
        reservation = reservations.setdefault(
            life.reservation,
            {"ReservationId": life.reservation, "OwnerId": ACCOUNT, "Groups": [], "Instances": []},
        )
        reservation["Instances"].append(view(life))
        if not request.straight:
            life.look()
    return {"Reservations": list(reservations.values()), "NextToken": token}


def describe_instance_status(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The checks of those that run; of all with IncludeAllInstances."""
    everything = request.params.get("IncludeAllInstances")
    filters = [each for each in request.params.get("Filters", ()) if "status" not in each["Name"]]
    inner = replace(request, params={**request.params, "Filters": filters})
    found = [life for life in seen(cloud, inner) if everything or life.state == "running"]
    page, token = wire.page(found, request, most=1000)
    shown = []
    for life in page:
        word = "ok" if life.state == "running" else "not-applicable"
        details = [{"Name": "reachability", "Status": "passed"}] if word == "ok" else []
        summary = {"Status": word, "Details": details}
        shown.append(
            {
                "InstanceId": life.id,
                "AvailabilityZone": life.instance.placement.zone,
                "InstanceState": {"Code": CODES[life.state], "Name": life.state},
                "InstanceStatus": summary,
                "SystemStatus": summary,
            }
        )
        if not request.straight:
            life.look()
    return {"InstanceStatuses": shown, "NextToken": token}


HANDLERS = {
    ("ec2", "DescribeInstances"): describe_instances,
    ("ec2", "DescribeInstanceStatus"): describe_instance_status,
}
