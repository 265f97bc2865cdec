"""Groups, templates, placement groups, images, parameters and tags: what is refused, and what takes its time."""

from __future__ import annotations

import base64

import pytest
from botocore.exceptions import ClientError
from clusterctl_standin.instances.images import PUBLIC_IMAGES

from ...support.launcher import ids_of

pytestmark = pytest.mark.slow  # all of them together take more than a minute


def test_a_group_cannot_go_before_its_instances(launcher, ec2, cloud):
    group = ec2.create_security_group(GroupName="mine", Description="mine")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    )
    (made,) = launcher.run(SecurityGroupIds=[group])
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=group)
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    ec2.delete_security_group(GroupId=group)
    assert cloud.left() == []


def test_a_group_that_another_names_cannot_go(ec2):
    first, second = (ec2.create_security_group(GroupName=name, Description="x")["GroupId"] for name in ("one", "two"))
    ec2.authorize_security_group_ingress(
        GroupId=second, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": first}]}]
    )
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=first)


def test_what_is_not_there_cannot_go(ec2):
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        ec2.delete_security_group(GroupId="sg-0123456789abcdef0")
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.NotFound"):
        ec2.delete_launch_template(LaunchTemplateId="lt-0123456789abcdef0")
    with pytest.raises(ClientError, match=r"InvalidPlacementGroup\.Unknown"):
        ec2.delete_placement_group(GroupName="nobody")


def test_a_placement_group_is_made_once_and_cannot_go_before_its_instances(launcher, ec2, cloud):
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "a", "Value": "b"}]}]
    ec2.create_placement_group(GroupName="near", Strategy="cluster", TagSpecifications=tags)
    with pytest.raises(ClientError, match=r"InvalidPlacementGroup\.Duplicate"):
        ec2.create_placement_group(GroupName="near", Strategy="cluster")
    (found,) = ec2.describe_placement_groups(Filters=[{"Name": "tag:a", "Values": ["b"]}])["PlacementGroups"]
    assert (found["GroupName"], found["Strategy"], found["State"]) == ("near", "cluster", "available")
    (made,) = launcher.run(Placement={"GroupName": "near"})
    with pytest.raises(ClientError, match=r"InvalidPlacementGroup\.InUse"):
        ec2.delete_placement_group(GroupName="near")
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    ec2.delete_placement_group(GroupName="near")
    assert cloud.left() == []


def test_every_parameter_names_an_image_of_its_region(cloud):
    for region in ("us-east-1", "eu-central-1"):
        ssm, ec2 = cloud.client("ssm", region), cloud.client("ec2", region)
        names = list(PUBLIC_IMAGES)
        found = [
            each
            for first in range(0, len(names), 10)
            for each in ssm.get_parameters(Names=names[first : first + 10])["Parameters"]
        ]
        images = ec2.describe_images(ImageIds=sorted({each["Value"] for each in found}))["Images"]
        architectures = {each["ImageId"]: each["Architecture"] for each in images}
        for each in found:
            wanted = "arm64" if "arm64" in each["Name"] else "x86_64"
            assert architectures[each["Value"]] == wanted
    with pytest.raises(ClientError, match="ParameterNotFound"):
        cloud.client("ssm").get_parameter(Name="/aws/service/debian/release/99/latest/amd64")


def test_an_image_is_pending_and_then_has_the_size_of_the_disk(launcher, ec2):
    (made,) = launcher.run(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30}}])
    launcher.all()
    tags = [{"ResourceType": kind, "Tags": [{"Key": "a", "Value": kind}]} for kind in ("image", "snapshot")]
    image = ec2.create_image(InstanceId=made["InstanceId"], Name="baked", TagSpecifications=tags)["ImageId"]
    states = [ec2.describe_images(Owners=["self"])["Images"][0]["State"] for _ in range(2)]
    assert states == ["pending", "available"]
    (found,) = ec2.describe_images(ImageIds=[image])["Images"]
    disk = found["BlockDeviceMappings"][0]["Ebs"]
    assert (disk["VolumeSize"], found["Tags"]) == (30, [{"Key": "a", "Value": "image"}])
    (snapshot,) = ec2.describe_snapshots(SnapshotIds=[disk["SnapshotId"]])["Snapshots"]
    assert snapshot["Tags"] == [{"Key": "a", "Value": "snapshot"}]
    launcher.image = image
    assert launcher.run()[0]["RootDeviceName"] == "/dev/xvda"
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        ec2.create_image(InstanceId=made["InstanceId"], Name="baked")


def test_tags_can_be_put_on_everything(launcher, ec2):
    fleet = launcher.fleet(1)
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    ec2.create_placement_group(GroupName="near")
    (group,) = ec2.describe_placement_groups()["PlacementGroups"]
    named = [*ids_of(fleet), request["SpotInstanceRequestId"], group["GroupId"], fleet["FleetId"]]
    ec2.create_tags(Resources=named, Tags=[{"Key": "a", "Value": "b"}])
    seen = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["a"]}])["Tags"]
    assert {each["ResourceId"] for each in seen} == set(named)
    assert launcher.all(Filters=[{"Name": "tag:a", "Values": ["b"]}])
    ec2.delete_tags(Resources=named, Tags=[{"Key": "a"}])
    assert launcher.all(Filters=[{"Name": "tag-key", "Values": ["a"]}]) == []


def test_the_console_says_what_the_machine_wrote(launcher, ec2, cloud):
    (made,) = launcher.run()
    cloud.consoles[made["InstanceId"]] = "hello\n"
    assert ec2.get_console_output(InstanceId=made["InstanceId"])["Output"] == "hello\n"


def test_a_disk_can_grow(ec2):
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, VolumeType="gp3")["VolumeId"]
    assert ec2.modify_volume(VolumeId=volume, Size=16)["VolumeModification"]["TargetSize"] == 16
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"] == 16


def test_an_instance_profile_must_be_there(launcher, cloud):
    with pytest.raises(ClientError, match="Invalid IAM Instance Profile name"):
        launcher.run(IamInstanceProfile={"Name": "role"})
    arn = cloud.client("iam").create_instance_profile(InstanceProfileName="role")["InstanceProfile"]["Arn"]
    launcher.run(IamInstanceProfile={"Name": "role"})
    assert launcher.all()[0]["IamInstanceProfile"]["Arn"] == arn


def test_user_data_is_limited(launcher):
    with pytest.raises(ClientError, match="limited to 16384 bytes"):
        launcher.run(UserData=base64.b64encode(b"x" * 16385).decode())


def test_a_dry_run_launches_nothing(launcher, cloud):
    with pytest.raises(ClientError, match="DryRunOperation"):
        launcher.run(DryRun=True)
    assert cloud.machines() == []


def test_regions_are_apart(launcher, cloud):
    launcher.fleet(1)
    assert cloud.client("ec2", "eu-central-1").describe_instances()["Reservations"] == []
    assert all(line.startswith("us-east-1 ") for line in cloud.left())
