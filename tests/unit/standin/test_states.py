"""Instances are launched, stopped, started and ended as on EC2, and what they held goes with them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from clusterctl_standin.faults import Slow

from ...support.launcher import ids_of

pytestmark = pytest.mark.slow  # all of them together take more than a minute


def test_a_launch_is_answered_while_it_is_pending(launcher):
    (made,) = launcher.run()
    assert made["State"]["Name"] == "pending"
    assert "PublicIpAddress" not in made
    (seen,) = launcher.all()
    assert seen["State"]["Name"] == "running"
    assert seen["PublicIpAddress"]


def test_a_slow_launch_has_no_public_address_until_it_runs(launcher, cloud):
    cloud.faults.add(Slow("RunInstances", looks=2))
    launcher.run()
    seen = [launcher.all()[0] for _ in range(3)]
    assert [each["State"]["Name"] for each in seen] == ["pending", "pending", "running"]
    assert ["PublicIpAddress" in each for each in seen] == [False, False, True]


def test_a_test_may_look_without_time_passing(launcher, cloud):
    cloud.faults.add(Slow("RunInstances", looks=1))
    launcher.run()
    for _ in range(3):
        found = cloud.client("ec2").describe_instances()["Reservations"][0]["Instances"][0]
        assert found["State"]["Name"] == "pending"


def test_stop_and_start_change_the_public_address_and_keep_the_private_one(launcher, ec2):
    (made,) = launcher.run()
    (before,) = launcher.all()
    ec2.stop_instances(InstanceIds=[made["InstanceId"]])
    (stopped,) = launcher.all()
    assert stopped["State"]["Name"] == "stopped"
    assert "PublicIpAddress" not in stopped
    ec2.start_instances(InstanceIds=[made["InstanceId"]])
    (after,) = launcher.all()
    assert after["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert after["PublicIpAddress"] != before["PublicIpAddress"]
    assert after["LaunchTime"] >= before["LaunchTime"]


def test_a_spot_instance_cannot_be_stopped(launcher, ec2):
    fleet = launcher.fleet(1)
    with pytest.raises(ClientError, match="one-time Spot Instance request") as caught:
        ec2.stop_instances(InstanceIds=ids_of(fleet))
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_one_wrong_id_ends_nothing(launcher, ec2):
    (made,) = launcher.run()
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.terminate_instances(InstanceIds=[made["InstanceId"], "i-0123456789abcdef0"])
    assert launcher.all()[0]["State"]["Name"] == "running"


def test_nothing_is_left_of_an_ended_instance(launcher, ec2, cloud):
    fleet = launcher.fleet(2)
    assert len(cloud.left()) == 2 * 4 + 2  # instance, spot request, volume and interface each; fleet and template
    ec2.terminate_instances(InstanceIds=ids_of(fleet))
    ec2.terminate_instances(InstanceIds=ids_of(fleet))
    ec2.delete_launch_template(LaunchTemplateId=launcher.template)
    assert cloud.left() == []
    (ended, _) = launcher.all()
    assert ended["State"]["Name"] == "terminated"
    assert "PrivateIpAddress" not in ended
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    requests = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert {each["Status"]["Code"] for each in requests} == {"instance-terminated-by-user"}


def test_an_interruption_has_a_notice_and_then_an_end(launcher, cloud):
    (identity,) = ids_of(launcher.fleet(1))
    cloud.interrupt(identity, notice_s=120)
    assert list(cloud.notices()) == [identity]
    assert launcher.all()[0]["State"]["Name"] == "running"
    cloud.take_back(identity)
    (ended,) = launcher.all()
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert cloud.notices() == {}


def test_who_watches_is_told_of_every_change(launcher, ec2, cloud):
    states = []
    cloud.on_change(lambda: states.append([machine.state for machine in cloud.machines()]))
    (made,) = launcher.run()
    launcher.all()
    ec2.reboot_instances(InstanceIds=[made["InstanceId"]])
    cloud.powered_off(made["InstanceId"])
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    assert states == [["running"], ["running"], ["stopped"], ["terminated"]]
    assert cloud.machines()[0].reboots == 1


def test_a_machine_that_shuts_itself_down_ends_if_it_was_launched_so(launcher, cloud):
    (made,) = launcher.run(InstanceInitiatedShutdownBehavior="terminate")
    cloud.powered_off(made["InstanceId"])
    assert launcher.all()[0]["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_token_whose_instances_have_ended_is_used_up(launcher, ec2):
    (made,) = launcher.run(ClientToken="one")
    assert launcher.run(ClientToken="one")[0]["InstanceId"] == made["InstanceId"]
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    with pytest.raises(ClientError, match="IdempotentInstanceTerminated"):
        launcher.run(ClientToken="one")


def test_instances_come_in_pages(launcher, ec2):
    launcher.fleet(12)
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    sizes = [sum(len(each["Instances"]) for each in page["Reservations"]) for page in pages]
    assert sizes == [5, 5, 2]


def test_less_than_the_least_count_is_an_error(launcher, cloud):
    cloud.capacity["c7i.large", "*", "on-demand"] = 1
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        launcher.run(2)
    assert len(launcher.run(1, MaxCount=5)) == 1


def test_a_key_pair_or_group_that_is_not_there_is_said(launcher):
    with pytest.raises(ClientError, match=r"InvalidKeyPair\.NotFound"):
        launcher.run(KeyName="nobody")
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        launcher.run(SecurityGroupIds=["sg-0123456789abcdef0"])


def test_a_disk_smaller_than_the_image_is_refused(launcher):
    with pytest.raises(ClientError, match="InvalidBlockDeviceMapping"):
        launcher.run(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}])


@pytest.mark.parametrize(
    ("disk", "code"),
    [
        ({"VolumeType": "io2"}, "MissingParameter"),
        ({"VolumeType": "gp2", "Iops": 3000}, "InvalidParameterCombination"),
        ({"VolumeType": "gp2", "Throughput": 125}, "InvalidParameterCombination"),
    ],
)
def test_a_disks_speed_must_go_with_its_type(launcher, cloud, disk, code):
    with pytest.raises(ClientError, match=code):
        launcher.run(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, **disk}}])
    assert cloud.machines() == []
