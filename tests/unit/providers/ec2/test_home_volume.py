"""A home on a volume of its own outlives its masters, is never there twice, and ends with the whole cluster alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from clusterctl_standin.faults import ALWAYS, Fails, faults_at

from clusterctl.errors import DeadlineError, ProviderError
from clusterctl.model import Market, Volume
from clusterctl.providers.ec2 import home_volume, tags

from ....support.ec2_lab import plan_of

PLAN = plan_of(2, home_volume=True)
PLAIN = plan_of(2)


def homes(lab):
    """Each volume that is a home: its id, its state, and who has it."""
    filters = [{"Name": f"tag:{tags.ROLE}", "Values": [tags.HOME]}]
    found = lab.ec2.describe_volumes(Filters=filters)["Volumes"]
    return [(raw["VolumeId"], raw["State"], [held["InstanceId"] for held in raw["Attachments"]]) for raw in found]


def lose_master(lab, nodes):
    """Have the cloud take the master, and return once it has let go of its disks."""
    lab.ec2.terminate_instances(InstanceIds=[nodes[0].machine_id])
    for _ in range(100):
        if not any(each["InstanceId"] == nodes[0].machine_id for each in lab.instances()):
            return


class TestOneHome:
    def test_a_new_cluster_gets_one_that_is_encrypted_tagged_and_attached_to_its_master(self, lab):
        lab.options = replace(lab.options, home_volume_gb=7)
        master, worker = lab.create(PLAN)
        ((id_, state, holders),) = homes(lab)
        (raw,) = lab.ec2.describe_volumes(VolumeIds=[id_])["Volumes"]
        assert (state, holders, master.home_volume, worker.home_volume) == ("in-use", [master.machine_id], id_, "")
        assert (raw["Size"], raw["Encrypted"], raw["AvailabilityZone"]) == (7, True, master.zone)
        assert lab.journal("lab").cluster_id == tags.tags_of(raw)[tags.UUID]

    def test_a_start_that_changes_nothing_leaves_it_as_it_is(self, lab):
        first = lab.create(PLAN)
        before = homes(lab)
        assert lab.create(PLAN)[0].home_volume == first[0].home_volume
        assert homes(lab) == before

    def test_without_it_there_is_none(self, lab):
        assert [node.home_volume for node in lab.create(PLAIN)] == ["", ""]
        assert homes(lab) == []


class TestLostMaster:
    def test_the_next_master_gets_the_same_one_in_its_zone(self, lab):
        before = lab.create(PLAN)
        lose_master(lab, before)
        after = lab.create(PLAN)
        assert after[0].machine_id != before[0].machine_id
        assert homes(lab) == [(before[0].home_volume, "in-use", [after[0].machine_id])]
        assert after[0].zone == before[0].zone

    def test_so_it_does_when_every_machine_is_gone(self, lab):
        before = lab.create(PLAN)
        lab.ec2.terminate_instances(InstanceIds=[node.machine_id for node in before])
        after = lab.create(PLAN)
        assert homes(lab) == [(before[0].home_volume, "in-use", [after[0].machine_id])]
        assert {node.zone for node in after} == {before[0].zone}

    def test_a_start_that_fails_for_a_master_leaves_the_home(self, lab):
        before = lab.create(PLAN)
        lab.ec2.terminate_instances(InstanceIds=[node.machine_id for node in before])
        lab.cloud.faults.add(*(fault for fault in faults_at("AttachVolume") if type(fault).__name__ == "Unauthorized"))
        with pytest.raises(ProviderError):
            lab.create(PLAN)
        lab.cloud.faults.clear()
        assert [id_ for id_, _, _ in homes(lab)] == [before[0].home_volume]
        assert lab.create(PLAN)[0].home_volume == before[0].home_volume

    def test_one_that_cannot_be_attached_says_what_aws_says(self, lab):
        lab.cloud.faults.add(Fails("AttachVolume", code="InvalidVolume.NotFound", message="not here", times=ALWAYS))
        with pytest.raises(DeadlineError, match=r"not here \(InvalidVolume.NotFound\)"):
            lab.create(PLAN)
        assert lab.cloud.left() == []

    def test_one_that_a_living_machine_has_is_refused(self, lab):
        (before, _) = lab.create(PLAN)
        (other,) = lab.create(plan_of(1, cluster="other"))
        lose_master(lab, [before])
        lab.ec2.attach_volume(VolumeId=before.home_volume, InstanceId=other.machine_id, Device="/dev/sdq")
        with pytest.raises(ProviderError, match=f"is attached to {other.machine_id}, which is running"):
            lab.create(PLAN)
        assert homes(lab) == [(before.home_volume, "in-use", [other.machine_id])]

    def test_several_are_no_guess(self, lab):
        before = lab.create(PLAN)
        key = tags.ClusterKey("lab", lab.journal("lab").cluster_id)
        more = {tags.CLUSTER: key.name, tags.UUID: key.uuid, tags.ROLE: tags.HOME}
        specified = tags.tag_specifications(more, "volume")
        lab.ec2.create_volume(AvailabilityZone=before[0].zone, Size=1, TagSpecifications=specified)
        lose_master(lab, before)
        with pytest.raises(ProviderError, match="several volumes for its home"):
            lab.create(PLAN)


class TestItsEnd:
    def test_terminate_ends_it(self, lab):
        lab.create(PLAN)
        assert "GB with its home" in lab.provider().find_home("lab").text
        lab.provider().destroy("lab")
        assert (homes(lab), lab.cloud.left(), lab.provider().find_home("lab")) == ([], [], None)

    def test_terminate_ends_it_when_nothing_else_is_left(self, lab):
        before = lab.create(PLAN)
        lab.ec2.terminate_instances(InstanceIds=[node.machine_id for node in before])
        lab.provider().destroy("lab")
        assert lab.cloud.left() == []

    def test_it_costs_while_nothing_runs(self, lab):
        before = lab.create(PLAN)
        lab.ec2.terminate_instances(InstanceIds=[node.machine_id for node in before])
        assert lab.provider().spending("lab", ()).hourly > 0
        lab.provider().destroy("lab")
        assert lab.provider().spending("lab", ()).hourly == 0

    def test_neither_a_stop_nor_the_end_of_some_nodes_does(self, lab):
        spot = replace(PLAN, nodes=tuple(replace(spec, market=Market.SPOT) for spec in PLAN.nodes))
        first = lab.create(spot)[0]
        lab.provider().destroy("lab", ["node001"])
        lab.provider().stop("lab")  # which ends spot instances
        assert [id_ for id_, _, _ in homes(lab)] == [first.home_volume]
        assert lab.create(spot)[0].home_volume == first.home_volume

    def test_a_new_cluster_that_fails_leaves_none(self, lab):
        lab.cloud.faults.add(*(fault for fault in faults_at("AttachVolume") if type(fault).__name__ == "Unauthorized"))
        with pytest.raises(ProviderError):
            lab.create(PLAN)
        assert lab.cloud.left() == []


class TestChecks:
    def test_a_home_does_not_move_while_its_cluster_exists(self, lab):
        lab.create(PLAIN)
        (problem,) = lab.provider().check(PLAN)
        assert "on its master's own disk" in problem.message

    def test_a_home_on_a_volume_is_not_forgotten(self, lab):
        before = lab.create(PLAN)
        assert lab.provider().check(PLAN) == []
        for _ in range(2):
            (problem,) = lab.provider().check(PLAIN)
            assert f"is on the volume {before[0].home_volume}" in problem.message
            lose_master(lab, before)

    def test_a_volume_of_the_users_that_holds_the_home_needs_no_second_one(self, lab):
        made = lab.ec2.create_volume(Size=10, AvailabilityZone="us-east-1a")["VolumeId"]
        plan = replace(PLAN, volumes=(Volume("data", home_volume.machine_layout("me").home.parent, id=made),))
        (problem,) = lab.provider().check(plan)
        assert "the volume data holds the home already" in problem.message

    def test_it_is_part_of_the_price_once(self, lab):
        def parts():
            return [part.name for part in lab.provider().estimate_nodes(PLAN, ()).parts]

        assert "home volume" in parts()
        lab.create(PLAN)
        assert "home volume" not in parts()
