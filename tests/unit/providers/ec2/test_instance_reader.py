"""What AWS describes becomes one dataclass, however much of it is left out."""

from __future__ import annotations

from datetime import datetime, timezone

from clusterctl.model import Market
from clusterctl.providers.ec2.instance_reader import AttachedDisk, read_instances

from ....support.fake_aws import FakeAws

LAUNCHED = datetime(2026, 11, 27, 10, tzinfo=timezone.utc)
FULL = {
    "InstanceId": "i-1",
    "State": {"Name": "running"},
    "LaunchTime": LAUNCHED,
    "InstanceType": "c7i.large",
    "InstanceLifecycle": "spot",
    "ImageId": "ami-1",
    "KeyName": "mine",
    "SubnetId": "subnet-1",
    "VpcId": "vpc-1",
    "Placement": {"AvailabilityZone": "us-east-1a"},
    "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2},
    "PrivateIpAddress": "10.0.0.1",
    "PublicIpAddress": "192.0.2.1",
    "NetworkInterfaces": [{"Ipv6Addresses": []}, {"Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]}],
    "SecurityGroups": [{"GroupId": "sg-1"}],
    "BlockDeviceMappings": [
        {"Ebs": {"VolumeId": "vol-1", "DeleteOnTermination": True}},
        {"Ebs": {"VolumeId": "vol-2", "DeleteOnTermination": False}},
        {"DeviceName": "ephemeral0"},
    ],
    "MetadataOptions": {"HttpTokens": "required"},
    "StateReason": {"Message": "because"},
    "Tags": [
        {"Key": "clusterctl:cluster", "Value": "lab"},
        {"Key": "clusterctl:role", "Value": "master"},
    ],
}


def read(*raw, **options):
    answer = [{"Instances": [each]} for each in raw]
    return read_instances(FakeAws({"describe_instances": answer}), **options)


def test_everything_that_aws_says_is_read():
    (instance,) = read(FULL)
    assert (instance.id, instance.state, instance.launched_at) == ("i-1", "running", LAUNCHED)
    assert (instance.type, instance.image, instance.key_name) == ("c7i.large", "ami-1", "mine")
    assert (instance.zone, instance.subnet, instance.vpc) == ("us-east-1a", "subnet-1", "vpc-1")
    assert (instance.market, instance.vcpus, instance.requires_token) == (Market.SPOT, 4, True)
    assert (instance.private_address, instance.public_address) == ("10.0.0.1", "192.0.2.1")
    assert (instance.ipv6, instance.groups, instance.reason) == ("2001:db8::1", ("sg-1",), "because")
    assert instance.disks == (AttachedDisk("vol-1", ends_with_instance=True), AttachedDisk("vol-2", False))
    assert (instance.cluster, instance.is_master, instance.volumes) == ("lab", True, ("vol-1", "vol-2"))


def test_what_aws_leaves_out_of_a_young_or_an_ended_instance_is_empty():
    (instance,) = read({"InstanceId": "i-1", "State": {"Name": "terminated"}, "StateReason": None, "CpuOptions": None})
    assert instance.launched_at is None
    assert (instance.market, instance.vcpus, instance.requires_token) == (Market.ON_DEMAND, 1, False)
    assert (instance.type, instance.private_address, instance.ipv6, instance.reason) == ("", "", "", "")
    assert (instance.disks, instance.groups, instance.tags, instance.is_master) == ((), (), {}, False)


def test_the_oldest_comes_first():
    later = {**FULL, "InstanceId": "i-0", "LaunchTime": LAUNCHED.replace(hour=11)}
    assert [instance.id for instance in read(later, {**FULL, "InstanceId": "i-2"}, FULL)] == ["i-1", "i-2", "i-0"]


def test_the_address_is_of_the_kind_that_is_preferred():
    (instance,) = read(FULL)
    preferences = ("auto", "public", "private", "ipv6")
    assert [instance.choose_address(kind) for kind in preferences] == [
        "192.0.2.1",
        "192.0.2.1",
        "10.0.0.1",
        "2001:db8::1",
    ]
    (instance,) = read({**FULL, "PublicIpAddress": None})
    assert instance.choose_address("auto") == "10.0.0.1"
