"""Without a port the stand-in is the same to boto3 in this process, and no socket is opened."""

from __future__ import annotations

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from clusterctl_standin.cloud import KEY, Cloud
from clusterctl_standin.faults import Broken, LostAnswer, LostRequest


@pytest.fixture
def cloud():
    with Cloud(port=False) as standin:
        yield standin


def client_of(cloud, *, tries=1):
    return boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=cloud.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key="standin",
        config=Config(retries={"total_max_attempts": tries}),
    )


def test_a_call_is_answered_and_remembered(cloud):
    assert client_of(cloud).create_volume(AvailabilityZone="us-east-1a", Size=8)["Size"] == 8
    (call,) = cloud.calls
    assert (call.service, call.action, call.region, call.status) == ("ec2", "CreateVolume", "us-east-1", 200)
    assert call.params["Size"] == 8
    assert len(cloud.client("ec2").describe_volumes()["Volumes"]) == 1


def test_what_is_lost_is_a_connection_that_was_closed_and_is_asked_again(cloud):
    for fault in (LostRequest("DescribeVolumes"), LostAnswer("DescribeVolumes")):
        cloud.faults.add(fault)
        with pytest.raises(ConnectionClosedError):
            client_of(cloud).describe_volumes()
        cloud.faults.add(fault)
        assert client_of(cloud, tries=2).describe_volumes()["Volumes"] == []
    assert [call.status for call in cloud.calls] == [0, 0, 200, 0, 0, 200]


def test_an_error_is_an_error(cloud):
    cloud.faults.add(Broken("DescribeVolumes"))
    with pytest.raises(ClientError, match="InternalError"):
        client_of(cloud).describe_volumes()


def test_when_it_has_ended_nobody_answers():
    with Cloud(port=False) as cloud:
        client = client_of(cloud)
    with pytest.raises(EndpointConnectionError):
        client.describe_volumes()
