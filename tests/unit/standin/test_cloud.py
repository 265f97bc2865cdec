"""The stand-in answers as the documentation of AWS says, and remembers what it was asked."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from clusterctl_standin.cloud import Cloud

pytestmark = pytest.mark.slow  # all of them together take more than a minute

UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"


def test_a_call_is_remembered_with_its_parameters(cloud, ec2):
    ec2.describe_instances(InstanceIds=[], Filters=[{"Name": "tag:a", "Values": ["b", "c"]}], MaxResults=7)
    (call,) = cloud.calls
    assert (call.service, call.action, call.region, call.status) == ("ec2", "DescribeInstances", "us-east-1", 200)
    assert call.params == {"Filters": [{"Name": "tag:a", "Values": ["b", "c"]}], "MaxResults": 7}
    cloud.clear_calls()
    assert cloud.calls == []


def test_a_client_of_the_cloud_leaves_no_trace(cloud):
    cloud.client("ec2").describe_regions()
    assert cloud.calls == []


def test_the_same_token_gets_the_same_answer(ec2):
    asked = {"AvailabilityZone": "us-east-1a", "Size": 8, "ClientToken": "one"}
    first = ec2.create_volume(**asked)
    assert ec2.create_volume(**asked)["VolumeId"] == first["VolumeId"]
    assert len(ec2.describe_volumes()["Volumes"]) == 1


def test_the_same_token_with_other_parameters_is_refused(ec2):
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, ClientToken="one")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=9, ClientToken="one")


def test_a_parameter_names_an_image_that_is_known(cloud, ec2):
    image = cloud.client("ssm").get_parameter(Name=UBUNTU)["Parameter"]["Value"]
    (found,) = ec2.describe_images(ImageIds=[image])["Images"]
    assert (found["Architecture"], found["RootDeviceName"], found["OwnerId"]) == (
        "x86_64",
        "/dev/sda1",
        "099720109477",
    )
    assert found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].startswith("snap-")


def test_what_is_not_there_is_said(cloud, ec2):
    with pytest.raises(ClientError, match="InvalidAction"):
        ec2.describe_capacity_reservations()
    assert cloud.calls[-1].error == "InvalidAction"


def test_the_environment_is_all_that_boto3_needs(cloud, monkeypatch):
    import boto3

    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert cloud.calls_of("GetCallerIdentity")[0].service == "sts"


def test_there_is_one_cloud_at_a_time(cloud):
    with pytest.raises(RuntimeError, match="another Cloud"), Cloud():
        pass
