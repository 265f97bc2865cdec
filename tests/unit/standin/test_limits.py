"""What EC2 refuses before it looks at anything is refused here too, and long answers come in pages."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow  # all of them together take more than a minute


def refused(act, **asked):
    with pytest.raises(ClientError) as caught:
        act(**asked)
    return caught.value.response["Error"]["Code"]


def test_a_call_has_200_filter_values_at_most(ec2):
    values = [f"i-{number:017x}" for number in range(201)]
    assert refused(ec2.describe_volumes, Filters=[{"Name": "attachment.instance-id", "Values": values}]) == (
        "FilterLimitExceeded"
    )
    assert ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": values[:200]}])["Volumes"] == []


def test_a_creation_tags_only_what_it_makes(ec2, launcher):
    wrong = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]
    group = {"GroupName": "mine", "Description": "mine"}
    assert refused(ec2.create_security_group, **group, TagSpecifications=wrong) == "InvalidParameterValue"
    wrong = [{"ResourceType": "fleet", "Tags": [{"Key": "a", "Value": "b"}]}]
    assert refused(launcher.make_template, TagSpecifications=wrong) == "InvalidParameterValue"


def test_a_tag_of_awss_own_cannot_be_given(ec2):
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "aws:mine", "Value": "b"}]}]
    asked = {"AvailabilityZone": "us-east-1a", "Size": 1, "TagSpecifications": tags}
    assert refused(ec2.create_volume, **asked) == "InvalidParameterValue"


def test_a_long_token_is_refused(launcher):
    assert refused(launcher.fleet, ClientToken="x" * 65) == "InvalidParameterValue"


def test_more_parameters_than_ten_are_refused(cloud):
    names = [f"/a/{number}" for number in range(11)]
    assert refused(cloud.client("ssm").get_parameters, Names=names) == "ValidationException"


def test_templates_come_in_pages_and_all_of_them(ec2, launcher):
    for number in range(17):
        ec2.create_launch_template(LaunchTemplateName=f"t{number:02d}x", LaunchTemplateData={"ImageId": launcher.image})
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 17
    pages = list(ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 10}))
    assert [len(page["LaunchTemplates"]) for page in pages] == [10, 7]


def test_types_come_in_pages_and_unknown_ones_are_named(ec2):
    (found,) = ec2.describe_instance_types(InstanceTypes=["c7i.large"])["InstanceTypes"]
    assert (found["VCpuInfo"]["DefaultVCpus"], found["MemoryInfo"]["SizeInMiB"]) == (2, 4096)
    first = ec2.describe_instance_types(Filters=[{"Name": "vcpu-info.default-vcpus", "Values": ["2"]}])
    assert len(first["InstanceTypes"]) == 100
    assert first["NextToken"]
    assert refused(ec2.describe_instance_types, InstanceTypes=["c7i.large", "c99.huge"]) == "InvalidInstanceType"
