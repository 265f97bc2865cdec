"""CreateFleet does what the API reference says."""

from __future__ import annotations

import ipaddress

import pytest
from botocore.exceptions import ClientError

from ...support.launcher import ids_of

pytestmark = pytest.mark.slow  # all of them together take more than a minute

SPOT_ZONE = {"SpotOptions": {"AllocationStrategy": "price-capacity-optimized", "SingleAvailabilityZone": True}}


def tags(thing):
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", []) if not tag["Key"].startswith("aws:")}


def tagged(kind, **pairs):
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}


def test_a_fleet_launches_what_was_asked_with_all_of_its_template(launcher, ec2, cloud):
    group = ec2.create_security_group(GroupName="mine", Description="mine")["GroupId"]
    launcher.make_template(
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": True}}],
        SecurityGroupIds=[group],
        InstanceInitiatedShutdownBehavior="terminate",
        TagSpecifications=[tagged("instance", a="template", b="template"), tagged("volume", disk="yes")],
    )
    fleet = launcher.fleet(
        3, TagSpecifications=[tagged("instance", a="request"), tagged("fleet", f="leet")], **SPOT_ZONE
    )
    instances = launcher.all(InstanceIds=ids_of(fleet))
    assert [each["State"]["Name"] for each in instances] == ["running"] * 3
    for each in instances:
        assert each["MetadataOptions"]["HttpTokens"] == "required"
        assert each["SecurityGroups"] == [{"GroupId": group, "GroupName": "mine"}]
        assert each["InstanceLifecycle"] == "spot"
        assert tags(each) == {"a": "request", "b": "template"}
    (volume,) = ec2.describe_volumes(VolumeIds=[instances[0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["Encrypted"], tags(volume)) == (20, True, {"disk": "yes"})
    (known,) = ec2.describe_fleets(FleetIds=[fleet["FleetId"]])["Fleets"]
    assert tags(known) == {"f": "leet"}
    assert cloud.machines()[0].user_data == b"#!/bin/sh"
    assert sorted(each["AmiLaunchIndex"] for each in instances) == [0, 1, 2]


def test_addresses_are_unique_and_of_the_subnet(launcher, ec2):
    launcher.fleet(300, **SPOT_ZONE)
    instances = launcher.all()
    networks = {each["SubnetId"]: ipaddress.ip_network(each["CidrBlock"]) for each in ec2.describe_subnets()["Subnets"]}
    assert len({each["PrivateIpAddress"] for each in instances}) == 300
    assert all(ipaddress.ip_address(each["PrivateIpAddress"]) in networks[each["SubnetId"]] for each in instances)


def test_a_single_zone_is_one_zone_and_the_cheapest_that_has_enough(launcher, cloud):
    for zone in "bcdf":
        cloud.capacity["c7i.large", f"us-east-1{zone}", "spot"] = 2
    cloud.prices.set_spot("c7i.large", "us-east-1a", 0.08)
    fleet = launcher.fleet(5, **SPOT_ZONE)
    assert {each["Placement"]["AvailabilityZone"] for each in launcher.all()} == {"us-east-1a"}
    assert fleet["Errors"] == []


def test_what_cannot_be_had_is_an_error_beside_what_can(launcher, cloud):
    cloud.capacity["c7i.large", "*", "spot"] = 1
    cloud.capacity["m7i.large", "*", "spot"] = 1
    fleet = launcher.fleet(5, types=("c7i.large", "m7i.large"), **SPOT_ZONE)
    assert len(ids_of(fleet)) == 2
    error = fleet["Errors"][0]
    assert (error["ErrorCode"], error["Lifecycle"]) == ("InsufficientInstanceCapacity", "spot")
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"] in ("c7i.large", "m7i.large")


def test_the_price_cap_keeps_dear_pools_out(launcher, cloud):
    for zone in "abcdf":
        cloud.prices.set_spot("c7i.large", f"us-east-1{zone}", 0.05)
    fleet = launcher.fleet(1, overrides=[{"InstanceType": "c7i.large", "MaxPrice": "0.04"}])
    assert fleet["Instances"] == []
    assert {each["ErrorCode"] for each in fleet["Errors"]} == {"SpotMaxPriceTooLow"}
    assert ids_of(launcher.fleet(1, overrides=[{"InstanceType": "c7i.large", "MaxPrice": "0.06"}]))


def test_less_than_the_least_is_nothing(launcher, cloud):
    cloud.capacity["*", "*", "on-demand"] = 2
    options = {"SingleAvailabilityZone": True, "MinTargetCapacity": 3}
    fleet = launcher.fleet(4, market="on-demand", OnDemandOptions=options)
    assert fleet["Instances"] == []
    assert fleet["Errors"][0]["ErrorCode"] == "InsufficientInstanceCapacity"
    assert launcher.all() == []


def test_a_quota_lets_as_many_through_as_fit(launcher, cloud):
    cloud.quotas["L-34B43A08"] = 7
    fleet = launcher.fleet(5)
    assert len(ids_of(fleet)) == 3
    assert {each["ErrorCode"] for each in fleet["Errors"]} == {"MaxSpotInstanceCountExceeded"}
    cloud.quotas["on-demand"] = 0
    assert {each["ErrorCode"] for each in launcher.fleet(1, market="on-demand")["Errors"]} == {"VcpuLimitExceeded"}


def test_a_requirement_is_met_by_types_that_meet_it(launcher):
    needs = {"VCpuCount": {"Min": 4, "Max": 4}, "MemoryMiB": {"Min": 8192, "Max": 16384}}
    launcher.fleet(3, overrides=[{"InstanceRequirements": needs}], **SPOT_ZONE)
    for each in launcher.all():
        assert each["Architecture"] == "x86_64"
        assert each["CpuOptions"]["CoreCount"] * each["CpuOptions"]["ThreadsPerCore"] == 4


def test_a_subnet_says_the_zone(launcher, ec2):
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1c"]}])["Subnets"]
    launcher.fleet(2, overrides=[{"InstanceType": "c7i.large", "SubnetId": subnet["SubnetId"]}])
    assert {each["SubnetId"] for each in launcher.all()} == {subnet["SubnetId"]}


def test_a_zone_without_the_type_is_an_error(launcher, ec2):
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1e"]}])["Subnets"]
    fleet = launcher.fleet(2, overrides=[{"InstanceType": "c7i.large", "SubnetId": subnet["SubnetId"]}])
    assert {each["ErrorCode"] for each in fleet["Errors"]} == {"InvalidFleetConfiguration"}


def test_an_image_of_another_architecture_is_an_error(launcher):
    fleet = launcher.fleet(1, types=("c7g.large",))
    assert fleet["Instances"] == []
    assert "architecture" in fleet["Errors"][0]["ErrorMessage"]


def test_the_same_token_gets_the_same_instances_even_if_they_have_ended(launcher, ec2):
    first = launcher.fleet(2, ClientToken="one")
    ec2.terminate_instances(InstanceIds=ids_of(first))
    again = launcher.fleet(2, ClientToken="one")
    assert ids_of(again) == ids_of(first)
    assert len(launcher.all()) == 2
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        launcher.fleet(3, ClientToken="one")


def test_tags_of_a_kind_that_a_fleet_does_not_take_are_refused(launcher):
    with pytest.raises(ClientError, match="not a valid taggable resource type"):
        launcher.fleet(1, TagSpecifications=[tagged("spot-instances-request", a="b")])


def test_a_template_tags_spot_requests_and_only_with_spot(launcher, ec2):
    launcher.make_template(TagSpecifications=[tagged("spot-instances-request", a="b")])
    launcher.fleet(1)
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (request["State"], request["Status"]["Code"], tags(request)) == ("active", "fulfilled", {"a": "b"})
    assert request["InstanceId"] == launcher.all()[0]["InstanceId"]
    refused = launcher.fleet(1, market="on-demand")
    assert "cannot specify tags for Spot" in refused["Errors"][0]["ErrorMessage"]


def test_a_fleet_is_deleted_with_its_instances_only(launcher, ec2):
    fleet = launcher.fleet(2)
    kept = ec2.delete_fleets(FleetIds=[fleet["FleetId"]], TerminateInstances=False)
    assert kept["SuccessfulFleetDeletions"] == []
    ec2.delete_fleets(FleetIds=[fleet["FleetId"]], TerminateInstances=True)
    assert {each["State"]["Name"] for each in launcher.all()} == {"terminated"}
    assert ec2.describe_fleets()["Fleets"] == []


def test_a_single_type_is_one_type_and_the_dearer_one_if_only_that_has_enough(launcher, cloud):
    cloud.capacity["c7i.large", "*", "spot"] = 1
    for zone in "abcdf":
        cloud.prices.set_spot("m7i.large", f"us-east-1{zone}", 0.09)
    launcher.fleet(6, types=("c7i.large", "m7i.large"), SpotOptions={"SingleInstanceType": True})
    assert {each["InstanceType"] for each in launcher.all()} == {"m7i.large"}


def test_a_total_price_ends_the_launch_where_it_is_reached(launcher, cloud):
    for zone in "abcdf":
        cloud.prices.set_spot("c7i.large", f"us-east-1{zone}", 0.04)
    fleet = launcher.fleet(5, SpotOptions={"MaxTotalPrice": "0.13"})
    assert len(ids_of(fleet)) == 3


def test_the_order_of_prioritized_is_the_requests(launcher):
    pools = [{"InstanceType": "c7i.large", "Priority": 2.0}, {"InstanceType": "m7i.2xlarge", "Priority": 1.0}]
    launcher.fleet(2, market="on-demand", overrides=pools, OnDemandOptions={"AllocationStrategy": "prioritized"})
    assert {each["InstanceType"] for each in launcher.all()} == {"m7i.2xlarge"}


def test_a_thousand_instances_are_one_request(launcher, ec2):
    fleet = launcher.fleet(1000, **SPOT_ZONE)
    assert len(set(ids_of(fleet))) == 1000
    ec2.terminate_instances(InstanceIds=ids_of(fleet))
    assert launcher.all(Filters=[{"Name": "instance-state-name", "Values": ["running"]}]) == []
