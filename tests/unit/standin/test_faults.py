"""Each fault does what it says, as often as it says, where it says."""

from __future__ import annotations

import argparse
from pathlib import Path

import botocore.exceptions
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from clusterctl_standin.__main__ import fault, limit
from clusterctl_standin.cloud import Cloud
from clusterctl_standin.faults import (
    Broken,
    Dies,
    Fails,
    Fault,
    Hidden,
    Interrupts,
    InUse,
    LostAnswer,
    LostRequest,
    NoCapacity,
    NotYet,
    QuotaReached,
    Throttled,
    Unauthorized,
    faults_at,
)

from ...support.launcher import ids_of

pytestmark = pytest.mark.slow  # all of them together take more than a minute


@pytest.fixture
def impatient(cloud):
    """A client that never asks again by itself."""
    import boto3

    return boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=cloud.endpoint,
        aws_access_key_id="AKIASTANDIN000000000",
        aws_secret_access_key="standin",
        config=Config(retries={"total_max_attempts": 1}),
    )


def code_of(act):
    with pytest.raises(ClientError) as caught:
        act()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_refusal_hits_its_action_so_often_and_no_other(cloud, impatient):
    cloud.faults.add(Fails("DescribeVolumes", times=2, code="Some.Code"))
    impatient.describe_regions()
    assert [code_of(impatient.describe_volumes) for _ in range(2)] == [("Some.Code", 400)] * 2
    assert impatient.describe_volumes()["Volumes"] == []
    assert cloud.faults.left() == {}


def test_a_fault_lets_as_many_pass_as_it_is_told(cloud, impatient):
    cloud.faults.add(Broken("DescribeVolumes", skip=1))
    impatient.describe_volumes()
    assert code_of(impatient.describe_volumes) == ("InternalError", 500)
    impatient.describe_volumes()


def test_throttling_is_said_as_each_service_says_it(cloud, impatient):
    cloud.faults.add(Throttled("DescribeVolumes"), Throttled("GetParameter", times=9))
    assert code_of(impatient.describe_volumes) == ("RequestLimitExceeded", 503)
    ssm = cloud.client("ssm", straight=False)
    assert code_of(lambda: ssm.get_parameter(Name="x"))[0] == "ThrottlingException"


def test_who_is_not_allowed_stays_so(cloud, impatient):
    cloud.faults.add(Unauthorized("DescribeVolumes"))
    assert {code_of(impatient.describe_volumes) for _ in range(3)} == {("UnauthorizedOperation", 403)}
    cloud.faults.remove(Unauthorized("DescribeVolumes"))
    impatient.describe_volumes()


def test_a_lost_request_has_no_effect_and_a_lost_answer_has(cloud, impatient):
    asked = {"AvailabilityZone": "us-east-1a", "Size": 1}
    look = cloud.client("ec2")
    cloud.faults.add(LostRequest("CreateVolume"))
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        impatient.create_volume(**asked)
    assert look.describe_volumes()["Volumes"] == []
    cloud.faults.add(LostAnswer("CreateVolume"))
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        impatient.create_volume(**asked)
    assert len(look.describe_volumes()["Volumes"]) == 1
    assert [call.status for call in cloud.calls] == [0, 0]


def test_a_lost_fleet_is_found_again_by_its_token(cloud, launcher):
    cloud.faults.add(LostAnswer("CreateFleet"))
    fleet = launcher.fleet(2, ClientToken="one")
    assert len(cloud.calls_of("CreateFleet")) == 2
    assert ids_of(fleet) == [machine.id for machine in cloud.machines()]


def test_what_was_just_launched_may_be_unknown(cloud, launcher, impatient):
    cloud.faults.add(Hidden("CreateFleet", looks=2))
    (identity,) = ids_of(launcher.fleet(1))
    assert code_of(lambda: impatient.describe_instances(InstanceIds=[identity]))[0] == "InvalidInstanceID.NotFound"
    assert launcher.all() == []
    assert [each["InstanceId"] for each in launcher.all()] == [identity]


def test_a_launch_may_find_no_room(cloud, launcher):
    cloud.faults.add(NoCapacity(market="spot", left=1, code="UnfulfillableCapacity"))
    zones = {"SpotOptions": {"SingleAvailabilityZone": True}}
    fleet = launcher.fleet(3, **zones)
    assert len(ids_of(fleet)) == 1
    assert {each["ErrorCode"] for each in fleet["Errors"]} == {"UnfulfillableCapacity"}
    cloud.faults.add(QuotaReached())
    assert {each["ErrorCode"] for each in launcher.fleet(3)["Errors"]} == {"MaxSpotInstanceCountExceeded"}
    assert len(ids_of(launcher.fleet(3))) == 3


def test_an_instance_may_end_right_after_its_launch(cloud, launcher):
    cloud.faults.add(Dies("CreateFleet"), Dies("RunInstances"))
    launcher.fleet(2)
    launcher.run()
    reasons = [each["StateReason"]["Code"] for each in launcher.all() if each["State"]["Name"] == "terminated"]
    assert reasons == ["Server.SpotInstanceTermination", "Server.InsufficientInstanceCapacity"]


def test_an_interruption_can_come_at_any_call(cloud, launcher):
    launcher.fleet(2)
    cloud.faults.add(Interrupts("DescribeRegions"))
    launcher.ec2.describe_regions()
    assert sorted(each["State"]["Name"] for each in launcher.all()) == ["running", "terminated"]


def test_a_group_is_in_use_for_a_while(cloud, impatient):
    group = impatient.create_security_group(GroupName="mine", Description="mine")["GroupId"]
    cloud.faults.add(InUse(), NotYet("AuthorizeSecurityGroupIngress"))
    rule = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "192.0.2.1/32"}
    known = [code_of(lambda: impatient.authorize_security_group_ingress(**rule))[0] for _ in range(2)]
    assert known == ["InvalidGroup.NotFound"] * 2
    impatient.authorize_security_group_ingress(**rule)
    assert {code_of(lambda: impatient.delete_security_group(GroupId=group))[0] for _ in range(3)} == {
        "DependencyViolation"
    }
    impatient.delete_security_group(GroupId=group)


def test_the_faults_of_an_action_all_hit_it(cloud):
    for action in ("CreateFleet", "TerminateInstances", "DeleteSecurityGroup", "GetParameter"):
        found = faults_at(action)
        assert len(found) == len(set(found)) > 5
        assert {each.action for each in found} == {action}
    assert InUse() in faults_at("DeleteSecurityGroup")


def test_a_fault_and_a_capacity_can_be_written_on_the_command_line():
    assert fault("Throttled:DescribeInstances:times=3") == Throttled("DescribeInstances", times=3)
    assert fault("NoCapacity:zone=us-east-1a:left=2") == NoCapacity(zone="us-east-1a", left=2)
    assert limit("c7i.large,*,spot=3") == (("c7i.large", "*", "spot"), 3)
    with pytest.raises(argparse.ArgumentTypeError, match="there are: Broken"):
        fault("Nonsense")
    with pytest.raises(argparse.ArgumentTypeError, match="has no 'colour'"):
        fault("Broken:colour=red")
    with pytest.raises(argparse.ArgumentTypeError, match="TYPE,ZONE,MARKET"):
        limit("many")


def test_every_fault_and_every_member_of_the_cloud_is_in_the_guide():
    guide = (Path(__file__).parents[3] / "docs/howto/standin.md").read_text(encoding="utf-8")
    for kind in Fault.__subclasses__():
        assert f"| `{kind.__name__}` |" in guide
    for name in vars(Cloud):
        inner = name.startswith("_") or name in ("rebooted", "doom")
        assert inner or f"`{name}" in guide, name
