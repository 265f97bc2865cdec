"""What EC2 says it does not know, and lists, is ended all the same; and what cannot be ended is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from clusterctl_standin.faults import ALWAYS, Fails, FleetErrors, LostAnswer

from clusterctl import clock
from clusterctl.errors import ProviderError
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch.endings import delete_template, end_instances
from clusterctl.providers.ec2.launch.fleet_requests import BATCH_SIZE
from clusterctl.providers.ec2.tags import ClusterKey

from .....support.ec2_lab import BOTH, SPOT, plan_of
from .....support.fake_aws import FakeAws, refused

KEY = ClusterKey("lab", "id")
UNKNOWN = refused("InvalidInstanceID.NotFound")


def not_known(times=ALWAYS):
    return Fails("TerminateInstances", code="InvalidInstanceID.NotFound", message="not here", times=times)


def end(lab, command):
    if command == "stop":
        lab.provider().stop("lab")
    else:
        lab.provider().destroy("lab", ["node001", "node002"] if command == "removenode" else None)


class TestCalls:
    def end(self, answer, ids):
        aws = FakeAws({"terminate_instances": answer, "describe_instances": []})
        assert end_instances(aws, KEY, ids) == []
        return [call["InstanceIds"] for call in aws.asked("terminate_instances")]

    def test_many_are_ended_by_as_many_as_one_call_takes(self):
        ids = [f"i-{number}" for number in range(BATCH_SIZE + 1)]
        assert self.end({}, ids) == [ids[:BATCH_SIZE], ids[BATCH_SIZE:]]

    def test_one_that_is_gone_does_not_keep_the_others(self):
        asked = self.end(lambda **asked: UNKNOWN if "gone" in asked["InstanceIds"] else {}, ["a", "gone", "b"])
        assert asked == [["a", "gone", "b"], ["a"], ["gone"], ["b"]]

    def test_any_other_refusal_is_an_error(self):
        with pytest.raises(AwsError, match="not for you"):
            self.end(refused(), ["a", "b"])

    def test_any_other_refusal_of_a_single_one_is_an_error(self):
        with pytest.raises(AwsError, match="not for you"):
            self.end(lambda **asked: UNKNOWN if asked["InstanceIds"][1:] else refused(), ["a", "b"])

    def test_nothing_is_asked_for_nothing(self):
        assert self.end({}, []) == []


class TestTooNewToBeKnown:
    @pytest.mark.parametrize("command", ["terminate", "removenode", "stop"])
    def test_instances_are_ended_once_they_are_known(self, lab, command):
        lab.create(plan_of(3, SPOT))
        lab.cloud.faults.add(not_known(times=5))
        end(lab, command)
        left = [] if command == "terminate" else ["master"]
        assert [node.alias for node in lab.provider().nodes("lab")] == left

    @pytest.mark.parametrize("command", ["terminate", "removenode", "stop"])
    def test_those_that_never_are_get_named(self, lab, command):
        nodes = {node.alias: node.machine_id for node in lab.create(plan_of(2, SPOT))}
        lab.cloud.faults.add(not_known())
        with pytest.raises(ProviderError, match="could be ended") as caught:
            end(lab, command)
        assert f"{nodes['node001']} (InvalidInstanceID.NotFound)" in caught.value.message
        assert "clusterctl gc" in caught.value.remedy

    @pytest.mark.parametrize("existing", [0, 2])
    def test_a_start_that_is_undone_leaves_none(self, lab, existing):
        if existing:
            lab.create(plan_of(existing, SPOT))
        lab.cloud.faults.add(FleetErrors(code="InvalidParameterValue", message="odd", left=1, market="spot"))
        lab.cloud.faults.add(not_known(times=40))  # more often than a call is repeated for what was made just now
        with pytest.raises(ProviderError, match="odd"):
            lab.create(plan_of(5, SPOT))
        assert len(lab.instances()) == existing
        assert "not all could be undone" not in "\n".join(lab.said)

    def test_a_start_that_cannot_be_undone_says_so(self, lab):
        lab.create(plan_of(2, SPOT))
        before = {each["InstanceId"] for each in lab.instances()}
        lab.cloud.faults.add(FleetErrors(code="InvalidParameterValue", message="odd", left=5, market="spot"))
        lab.cloud.faults.add(not_known())
        began_s = clock.time.passed_s
        with pytest.raises(ProviderError, match="odd"):
            lab.create(plan_of(16, SPOT))
        assert clock.time.passed_s - began_s < 700  # not half a minute for each
        lost = {each["InstanceId"] for each in lab.instances()} - before
        (said,) = (text for text in lab.said if "not all could be undone" in text)
        assert lost
        assert all(f"{id_} (InvalidInstanceID.NotFound)" in said for id_ in lost)

    def test_a_template_that_stays_keeps_no_instance(self, lab):
        lab.cloud.faults.add(LostAnswer("CreateFleet", times=ALWAYS))
        lab.cloud.faults.add(Fails("DeleteLaunchTemplate", code="UnauthorizedOperation", message="no", times=ALWAYS))
        with pytest.raises(ProviderError, match="did not answer"):
            lab.create(plan_of(3, SPOT))
        assert lab.instances() == []
        assert "(UnauthorizedOperation)): `clusterctl terminate lab` ends the rest" in "\n".join(lab.said)

    @pytest.mark.parametrize("times", [40, ALWAYS])
    def test_what_a_full_zone_gave_is_ended_before_another_is_tried(self, lab, times):
        lab.create(plan_of(3, BOTH))
        first = lab.instances()[0]["Placement"]["AvailabilityZone"]
        lab.provider().destroy("lab")
        lab.cloud.capacity["*", first, "on-demand"] = 0  # the workers have room there, the master has none
        lab.cloud.faults.add(not_known(times))
        if times == ALWAYS:
            with pytest.raises(ProviderError, match="of a zone that has not enough could be ended"):
                lab.create(plan_of(3, BOTH))
            assert "not all could be undone" in "\n".join(lab.said)
        else:
            lab.create(plan_of(3, BOTH))
            assert len(lab.instances()) == len(lab.provider().nodes("lab")) == 3


LAUNCH = ("CreateTags", "DescribeInstances", "CreateFleet", "CreateLaunchTemplate", "CreateVolume", "AttachVolume")
BESIDE = (
    *("DeleteLaunchTemplate", "DeleteFleets", "DeleteVolume", "DeletePlacementGroup", "DeleteSecurityGroup"),
    *("DescribeLaunchTemplates", "DescribeVolumes", "DescribePlacementGroups", "DescribeSecurityGroups"),
)


@pytest.mark.slow
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("action", LAUNCH)
@pytest.mark.seeds(1)
def test_whatever_else_is_refused_no_instance_is_left(lab, sample, action, skip):
    """A start is undone whose call was refused, or not answered, while AWS refuses another call too."""
    lab.options = replace(lab.options, placement_group=True)
    unwanted = {}
    for beside in sample.of(BESIDE, 3):
        for first in (
            Fails(action, code="UnauthorizedOperation", message="no", skip=skip, times=ALWAYS if skip else 1),
            LostAnswer(action, skip=skip, times=ALWAYS),
        ):
            lab.events.clear()
            lab.cloud.faults.add(first, Fails(beside, code="AccessDenied", message="no", times=ALWAYS))
            try:
                lab.create(plan_of(3, BOTH, home_volume=True))
            except ProviderError as exc:
                said = "\n".join(lab.said)
                if lab.instances() and not (action == "DescribeInstances" and "not all could be undone" in said):
                    unwanted[beside, first] = f"{exc.message} {said[-300:]}"
            lab.cloud.faults.clear()
            lab.provider().destroy("lab")
            assert lab.cloud.left() == []
            lab.journal("lab").delete_folder()
    assert unwanted == {}


def test_what_stays_without_an_answer_says_so(lab):
    lab.create(plan_of(2))
    lab.cloud.faults.add(LostAnswer("DescribeSecurityGroups", times=ALWAYS))
    with pytest.raises(ProviderError, match=r"security groups \(no answer\)"):
        lab.provider().destroy("lab")


class TestTemplates:
    def test_one_that_is_not_there_is_success(self):
        unknown = refused("InvalidLaunchTemplateName.NotFoundException")
        answers = {"delete_launch_template": unknown, "describe_launch_templates": {"LaunchTemplates": []}}
        delete_template(FakeAws(answers), "x")
        with pytest.raises(AwsError):
            delete_template(FakeAws({"delete_launch_template": refused()}), "x")

    def test_one_that_is_listed_is_there_whatever_is_said(self):
        unknown = refused("InvalidLaunchTemplateName.NotFoundException")
        answers = {"delete_launch_template": unknown, "describe_launch_templates": {"LaunchTemplates": [{}]}}
        with pytest.raises(AwsError):
            delete_template(FakeAws(answers), "x")
