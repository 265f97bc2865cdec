"""What is ours is found in all regions, and ended in order, on the stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.retries.standard import ExponentialBackoff
from clusterctl_standin.faults import Broken, Fails, InUse, LostAnswer, Slow, Unauthorized
from clusterctl_standin.leaks import left

from clusterctl.events import Reporter
from clusterctl.operations.account.gc import GcScope, end_resources, find_unneeded
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import gc, inventory
from clusterctl.providers.ec2.account.resources import ResourceKind
from clusterctl.providers.ec2.aws import Aws, AwsError

from .....support.ec2_lab import OPTIONS, SPOT, plan_of

pytestmark = pytest.mark.slow  # all of them together take a quarter of a minute

HERE, THERE = "us-east-1", "eu-west-1"
ALL_REGIONS = inventory.region_names


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two regions."""
    monkeypatch.setattr(inventory, "region_names", lambda _: [THERE, HERE])


@pytest.fixture
def asker(lab):
    return GcScope(lab.home, lab.owner)


def look(lab, asker):
    return find_unneeded(lab.aws, asker, report=Reporter(lab.events.append))


def sweep(lab, asker):
    """Find, and end all of it."""
    found = look(lab, asker)
    return found, end_resources(lab.aws, found, found.unneeded, asker, report=Reporter(lab.events.append))


def lose(lab, cluster="lab"):
    """The laptop's files of a cluster are gone."""
    lab.journal(cluster).delete_folder()


def kinds(found):
    return [each.resource.kind for each in found.unneeded]


def leaks(cloud):
    return [line for region in (HERE, THERE) for line in left(cloud, region)]


def tagged(kind, **more):
    marks = {tags.UUID: "u9", tags.CLUSTER: "old", tags.OWNER: "me@here", **more}
    return tags.tag_specifications(marks, kind)


class TestFinding:
    def test_of_a_cluster_that_is_up_nothing_is_named(self, lab, asker):
        lab.options = replace(OPTIONS, placement_group=True)
        lab.journal("lab").record("create", nodes=["master", "node001"], provider="ec2", template="t", overrides={})
        lab.create(plan_of(2, SPOT))
        found = look(lab, asker)
        assert found.unneeded == ()
        assert {each.kind for each in found.resources} >= {
            ResourceKind.INSTANCE,
            ResourceKind.VOLUME,
            ResourceKind.SECURITY_GROUP,
        }
        assert found.regions == 2

    def test_a_cluster_whose_files_are_lost_is_found_wherever_it_is_with_what_it_costs(self, lab, asker):
        lab.aws = lab.aws.in_region(THERE)
        lab.options = replace(OPTIONS, placement_group=True)
        lab.create(plan_of(3, SPOT))
        lose(lab)
        found = look(lab, asker)
        assert kinds(found) == [ResourceKind.INSTANCE] * 3 + [ResourceKind.PLACEMENT_GROUP, ResourceKind.SECURITY_GROUP]
        assert {each.resource.region for each in found.unneeded} == {THERE}
        assert {each.reason for each in found.unneeded} == {"no cluster that this computer knows needs it (lab)"}
        instances = [each.resource for each in found.unneeded if each.resource.kind == ResourceKind.INSTANCE]
        assert {each.market for each in instances} == {"spot", "on-demand"}
        assert all(found.hourly_usd[each.id] > 0 for each in instances)

    def test_it_takes_a_look_for_each_kind_and_region(self, lab, asker, cloud):
        cloud.clear_calls()
        look(lab, asker)
        assert len(cloud.calls) == 2 * 8

    def test_what_is_not_ours_is_not_even_looked_at(self, lab, asker):
        lab.ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)
        lab.ec2.create_security_group(GroupName="theirs", Description="theirs")
        assert look(lab, asker).resources == ()

    def test_a_region_that_refuses_is_a_note_and_its_groups_are_left_alone(self, lab, asker, cloud):
        lab.create(plan_of(1))
        lose(lab)
        cloud.faults.add(Unauthorized("DescribeInstances"))
        found = look(lab, asker)
        assert found.unneeded == found.failures == ()
        assert found.notes == (f"{THERE}, {HERE}: not looked at, AWS does not allow it (UnauthorizedOperation)",)
        assert found.regions == 0

    def test_a_kind_that_is_refused_hides_no_other(self, lab, asker, cloud):
        lab.create(plan_of(1))
        lose(lab)
        cloud.faults.add(Unauthorized("DescribePlacementGroups"))
        found = look(lab, asker)
        assert kinds(found) == [ResourceKind.INSTANCE, ResourceKind.SECURITY_GROUP]
        note = f"{THERE}, {HERE}, placement groups: not looked at, AWS does not allow it (UnauthorizedOperation)"
        assert note in found.notes

    def test_an_answer_that_does_not_come_is_a_failure(self, lab, asker, cloud):
        cloud.faults.add(Fails("DescribeVolumes", times=1, code="InvalidParameterValue", message="no"))
        found = look(lab, asker)
        assert len(found.failures) == 1
        assert "volumes: AWS refused describe volumes: no (InvalidParameterValue)" in found.failures[0]

    def test_without_the_list_of_regions_nothing_can_be_done(self, lab, asker, cloud, monkeypatch):
        monkeypatch.setattr(inventory, "region_names", ALL_REGIONS)
        cloud.faults.add(Unauthorized("DescribeRegions"))
        with pytest.raises(AwsError, match="UnauthorizedOperation"):
            look(lab, asker)

    def test_a_region_that_the_account_has_not_enabled_is_not_asked(self, aws, monkeypatch):
        monkeypatch.setattr(inventory, "region_names", ALL_REGIONS)
        said = {"Regions": [{"RegionName": "b"}, {"RegionName": "a", "OptInStatus": "opted-in"}]}
        said["Regions"].append({"RegionName": "c", "OptInStatus": "not-opted-in"})
        monkeypatch.setattr(aws, "call", lambda *_: said)
        assert inventory.region_names(aws) == ["a", "b"]


class TestEnding:
    def test_a_cluster_whose_files_are_lost_is_ended_with_all_that_belonged_to_it(self, lab, asker, cloud):
        lab.options = replace(OPTIONS, placement_group=True)
        lab.create(plan_of(3, SPOT))
        lose(lab)
        found, remains = sweep(lab, asker)
        assert remains == []
        assert leaks(cloud) == []
        for each in found.unneeded:
            what = f"{HERE}: {each.resource.kind.value} {each.resource.id} is gone"
            assert what in lab.said

    def test_one_of_everything_in_two_regions_is_ended(self, lab, asker, cloud):
        for region in (HERE, THERE):
            ec2 = cloud.client("ec2", region)
            ec2.create_volume(AvailabilityZone=f"{region}a", Size=8, TagSpecifications=tagged("volume"))
            ec2.create_placement_group(GroupName="old", Strategy="cluster", TagSpecifications=tagged("placement-group"))
            ec2.create_launch_template(
                LaunchTemplateName="old",
                LaunchTemplateData={"InstanceType": "c7i.large"},
                TagSpecifications=tagged("launch-template"),
            )
            ec2.create_key_pair(KeyName="old", TagSpecifications=tagged("key-pair"))
            group = ec2.create_security_group(
                GroupName="old", Description="old", TagSpecifications=tagged("security-group")
            )["GroupId"]
            subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
            ec2.create_network_interface(SubnetId=subnet, Groups=[group], TagSpecifications=tagged("network-interface"))
        found, remains = sweep(lab, asker)
        assert kinds(found) == 2 * [
            ResourceKind.VOLUME,
            ResourceKind.PLACEMENT_GROUP,
            ResourceKind.LAUNCH_TEMPLATE,
            ResourceKind.KEY_PAIR,
            ResourceKind.NETWORK_INTERFACE,
            ResourceKind.SECURITY_GROUP,
        ]
        assert remains == []
        assert leaks(cloud) == []

    def test_only_a_node_that_was_removed_goes_and_the_others_stay(self, lab, asker):
        folder = lab.journal("lab")
        folder.record("create", nodes=["master", "node001", "node002"], provider="ec2", template="t", overrides={})
        lab.create(plan_of(3))
        folder.record("remove", nodes=["node002"])
        found, remains = sweep(lab, asker)
        assert [each.reason for each in found.unneeded] == ["it is no node of lab any more"]
        assert remains == []
        assert sorted(lab.provider().nodes("lab"), key=lambda node: node.alias)[0].alias == "master"
        assert [node.alias for node in lab.provider().nodes("lab")] == ["master", "node001"]

    def test_groups_that_are_held_for_a_while_are_waited_for(self, lab, asker, cloud):
        lab.create(plan_of(1))
        lose(lab)
        cloud.faults.add(InUse(times=3), Slow("TerminateInstances"))
        assert sweep(lab, asker)[1] == []
        assert leaks(cloud) == []

    def test_what_is_held_for_ever_is_named_with_the_reason_and_the_rest_is_ended(self, lab, asker, cloud, monkeypatch):
        monkeypatch.setattr(gc, "_ENDING_S", 0.05)
        lab.create(plan_of(1))
        lose(lab)
        cloud.faults.add(InUse(times=10_000))
        (remains,) = sweep(lab, asker)[1]
        assert remains.resource.kind == ResourceKind.SECURITY_GROUP
        assert "DependencyViolation" in remains.reason
        assert [line.split()[1] for line in leaks(cloud)] == ["security"]

    def test_an_instance_that_is_protected_is_named_and_the_others_end(self, lab, asker, monkeypatch):
        lab.create(plan_of(3))
        lose(lab)
        protected = lab.instances()[0]["InstanceId"]
        real = Aws.call

        def call(account, service, operation, **given):
            if operation == "terminate_instances" and protected in given["InstanceIds"]:
                raise AwsError("it is protected", remedy="", code="OperationNotPermitted")
            return real(account, service, operation, **given)

        monkeypatch.setattr(Aws, "call", call)
        remains = sweep(lab, asker)[1]
        assert (remains[0].resource.id, remains[0].reason) == (protected, "it is protected")
        assert [each["InstanceId"] for each in lab.instances()] == [protected]

    def test_an_instance_that_does_not_end_in_time_is_named(self, lab, asker, cloud, monkeypatch):
        monkeypatch.setattr(gc, "_ENDING_S", 0.0)
        lab.create(plan_of(1))
        lose(lab)
        cloud.faults.add(Slow("TerminateInstances", looks=100))
        remains = sweep(lab, asker)[1]
        assert remains[0].reason == "it is shutting-down"

    def test_what_has_gone_meanwhile_is_success(self, lab, asker, cloud):
        lab.ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, TagSpecifications=tagged("volume"))
        lab.create(plan_of(2))
        lose(lab)
        found = look(lab, asker)
        gone = lab.instances()[0]["InstanceId"]
        lab.ec2.terminate_instances(InstanceIds=[gone])
        lab.ec2.delete_volume(
            VolumeId=next(e.resource.id for e in found.unneeded if e.resource.kind == ResourceKind.VOLUME)
        )
        assert end_resources(lab.aws, found, found.unneeded, asker, report=Reporter(lab.events.append)) == []
        assert leaks(cloud) == []

    def test_what_aws_was_too_busy_to_delete_is_named(self, lab, asker, cloud, monkeypatch):
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)
        lab.ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, TagSpecifications=tagged("volume"))
        cloud.faults.add(Fails("DeleteVolume", code="Unavailable", times=10_000, status=503))
        (remains,) = sweep(lab, asker)[1]
        assert remains.resource.kind == ResourceKind.VOLUME
        assert "Unavailable" in remains.reason

    def test_what_a_cluster_needs_by_then_is_kept(self, lab, asker):
        lab.create(plan_of(1))
        journal = lab.journal("lab").journal_file.read_text()
        lose(lab)
        found = look(lab, asker)
        folder = lab.journal("lab")
        folder.journal_file.write_text(journal)
        folder.record("create", nodes=["master"], provider="ec2", template="t", overrides={})
        remains = end_resources(lab.aws, found, found.unneeded, asker, report=Reporter(lab.events.append))
        assert {each.reason for each in remains} == {"a cluster needs it now"}
        assert len(lab.instances()) == 1

    def test_images_and_their_snapshots_go_only_when_asked_for(self, lab, asker, monkeypatch):
        lab.create(plan_of(1))
        made = lab.provider().save_image("lab", "debian-12", "c0ffee")
        lose(lab)
        assert not {ResourceKind.IMAGE, ResourceKind.SNAPSHOT} & {*kinds(look(lab, asker))}
        found, remains = sweep(lab, replace(asker, images=True))
        assert made in {each.resource.id for each in found.unneeded}
        assert remains == []
        assert lab.ec2.describe_images(Owners=["self"])["Images"] == []
        marked = [tags.filter_by(tags.IMAGE_CONTENT)]
        assert lab.ec2.describe_snapshots(OwnerIds=["self"], Filters=marked)["Snapshots"] == []

    @pytest.mark.parametrize("action", ["TerminateInstances", "DeleteSecurityGroup", "DescribeInstances"])
    @pytest.mark.parametrize("fault", [Broken, LostAnswer])
    def test_a_fault_on_the_way_hinders_nothing(self, lab, asker, cloud, action, fault):
        lab.create(plan_of(2, SPOT))
        lose(lab)
        found = look(lab, asker)
        cloud.faults.add(fault(action))
        assert end_resources(lab.aws, found, found.unneeded, asker, report=Reporter(lab.events.append)) == []
        assert leaks(cloud) == []


def test_many_instances_are_ended_in_lots(lab, asker, cloud, monkeypatch):
    monkeypatch.setattr(gc, "_BATCH", 2)
    lab.create(plan_of(5))
    lose(lab)
    cloud.clear_calls()
    assert sweep(lab, asker)[1] == []
    assert [len(call.params["InstanceIds"]) for call in cloud.calls_of("TerminateInstances")] == [2, 2, 1]
