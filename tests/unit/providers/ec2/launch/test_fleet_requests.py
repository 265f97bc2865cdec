"""What is asked of a fleet and how a refusal is told, without an account."""

from __future__ import annotations

from clusterctl.model import Market
from clusterctl.providers.ec2.images import Ami
from clusterctl.providers.ec2.launch.fleet_errors import FleetError
from clusterctl.providers.ec2.launch.fleet_errors import summarize_errors as summarize
from clusterctl.providers.ec2.launch.fleet_requests import build_template_data, template_exists
from clusterctl.providers.ec2.options import Options

from .....support.fake_aws import FakeAws


def summarize_errors(errors):
    return summarize(FakeAws(), errors)


class TestReasons:
    def test_each_is_said_once_with_all_its_places(self):
        refusals = [FleetError("Odd", "not now", f"c7i.large in {zone}") for zone in "ab"]
        assert summarize_errors(refusals) == "Odd (c7i.large in a, c7i.large in b): not now"

    def test_want_of_room_needs_no_message(self):
        code = "InsufficientInstanceCapacity"
        assert summarize_errors([FleetError(code, "long words", "a")]) == f"{code} (a)"

    def test_more_than_four_places_are_counted(self):
        assert summarize_errors([FleetError("Odd", "no", place) for place in "abcd"]) == "Odd (a, b, c, d): no"
        assert (
            summarize_errors([FleetError("Odd", "no", place) for place in "abcdef"])
            == "Odd (a, b, c, d and 2 more): no"
        )

    def test_a_type_that_a_zone_does_not_have_is_the_reason_only_where_there_is_no_other(self):
        absent, full = FleetError("Unsupported", "not here", "a"), FleetError("Odd", "no", "b")
        assert summarize_errors([absent, full]) == "Odd (b): no"
        assert summarize_errors([absent]) == "Unsupported (a): not here"

    def test_silence_is_said(self):
        assert summarize_errors([]) == "AWS gave no reason"


class TestTemplates:
    def test_it_is_there_or_not(self):
        assert template_exists(FakeAws({"describe_launch_templates": {"LaunchTemplates": [{}]}}), "x")
        assert not template_exists(FakeAws({"describe_launch_templates": {"LaunchTemplates": []}}), "x")


def template_of(role="node001", market=Market.SPOT, placement_group="", **options):
    return build_template_data(
        Options(**options),
        Ami("ami-1", "x86_64", "/dev/xvda", 8),
        user_data="eA==",
        groups=["sg-1", "sg-2"],
        resource_tags={"Name": "lab"},
        placement_group=placement_group,
        when_off="terminate",
        role=role,
        market=market,
    )


class TestTemplateData:
    def test_what_every_instance_has(self):
        data = template_of(public_ips=True, root_volume_gb=30)
        assert data["NetworkInterfaces"] == [
            {
                "DeviceIndex": 0,
                "DeleteOnTermination": True,
                "Groups": ["sg-1", "sg-2"],
                "AssociatePublicIpAddress": True,
            }
        ]
        disk = {"VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True, "VolumeSize": 30}
        assert data["BlockDeviceMappings"] == [{"DeviceName": "/dev/xvda", "Ebs": disk}]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
        assert not {"KeyName", "IamInstanceProfile", "Placement"} & data.keys()

    def test_what_options_add(self):
        data = template_of(
            public_ips=False,
            address="ipv6",
            kms_key="key-1",
            key_name="mine",
            instance_profile="role",
            placement_group="pg",
        )
        (interface,) = data["NetworkInterfaces"]
        assert (interface["Ipv6AddressCount"], interface["AssociatePublicIpAddress"]) == (1, False)
        assert data["BlockDeviceMappings"][0]["Ebs"]["KmsKeyId"] == "key-1"
        assert (data["KeyName"], data["IamInstanceProfile"]) == ("mine", {"Name": "role"})
        assert data["Placement"] == {"GroupName": "pg"}

    def test_only_a_spot_request_is_tagged_as_one(self):
        tagged = {
            market: {each["ResourceType"] for each in template_of(market=market)["TagSpecifications"]}
            for market in (Market.SPOT, Market.ON_DEMAND)
        }
        assert tagged[Market.SPOT] - tagged[Market.ON_DEMAND] == {"spot-instances-request"}
        assert {"instance", "volume", "network-interface"} <= tagged[Market.ON_DEMAND]
