"""Two clusters of one name, by two owners, in one account and region: what ends one leaves the other alone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from clusterctl_standin.faults import NoCapacity

from clusterctl.errors import ProviderError, UnprovenError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.launch.teardown import end_cluster

from ....support.ec2_lab import plan_of

pytestmark = pytest.mark.slow  # all of them together take a quarter of a minute

ROADS = {
    "destroy": lambda provider: provider.destroy("lab"),
    "destroy some": lambda provider: provider.destroy("lab", ["master", "node001"]),
    "stop": lambda provider: provider.stop("lab"),
    "reboot": lambda provider: provider.reboot("lab"),
}


@pytest.fixture
def theirs(lab, tmp_path):
    """The cluster of another owner, under the name that ours has."""
    other = replace(lab, home=tmp_path / "another laptop", owner="you@there")
    nodes = other.create(plan_of(2, cluster="twin"))
    groups = lab.ec2.describe_security_groups(Filters=[tags.filter_by(tags.CLUSTER, "twin")])["SecurityGroups"]
    disks = lab.ec2.describe_volumes(Filters=[tags.filter_by(tags.CLUSTER, "twin")])["Volumes"]
    named = [node.machine_id for node in nodes] + [group["GroupId"] for group in groups]
    lab.ec2.create_tags(
        Resources=[*named, *(disk["VolumeId"] for disk in disks)], Tags=tags.tag_list({tags.CLUSTER: "lab"})
    )
    return nodes


def state_of(lab, uuid):
    """What the account has of a cluster, with the states of its instances and the rules of its group."""
    found = [(each["InstanceId"], each["State"]["Name"]) for each in lab.instances() if tag(each, tags.UUID) == uuid]
    groups = lab.ec2.describe_security_groups(Filters=[tags.filter_by(tags.UUID, uuid)])["SecurityGroups"]
    return sorted(found), [(group["GroupId"], group["IpPermissions"]) for group in groups]


def tag(raw, key):
    return tags.tags_of(raw).get(key)


@pytest.mark.parametrize("road", ROADS)
def test_by_our_id_ours_is_meant_and_theirs_is_left_alone(lab, theirs, road):
    lab.home.mkdir()
    start_beside(lab)
    uuid = theirs[0].cluster_id
    before = state_of(lab, uuid)
    assert [node.alias for node in lab.provider().nodes("lab")] == ["master", "node001"]
    ROADS[road](lab.provider())
    assert state_of(lab, uuid) == before
    assert lab.cloud.calls_of("TerminateInstances") or road in {"stop", "reboot"}


def start_beside(lab):
    """Ours, although another one has the name: as if both had begun at the same moment."""
    mine = lab.create(plan_of(2, cluster="own"))
    uuid = mine[0].cluster_id
    for described, key, id_ in (("security_groups", "SecurityGroups", "GroupId"), ("volumes", "Volumes", "VolumeId")):
        found = getattr(lab.ec2, f"describe_{described}")(Filters=[tags.filter_by(tags.UUID, uuid)])[key]
        lab.ec2.create_tags(Resources=[each[id_] for each in found], Tags=tags.tag_list({tags.CLUSTER: "lab"}))
    lab.ec2.create_tags(Resources=[node.machine_id for node in mine], Tags=tags.tag_list({tags.CLUSTER: "lab"}))
    shutil.move(lab.journal("own").path, lab.home / "clusters" / "lab")


@pytest.mark.parametrize("road", ROADS)
def test_without_an_id_nothing_ends_and_both_are_shown(lab, theirs, road):
    lab.home.mkdir()
    start_beside(lab)
    shutil.rmtree(lab.home)
    with pytest.raises(UnprovenError) as caught:
        ROADS[road](lab.provider())
    assert "made by user/moto" in caught.value.message
    for operation in ("TerminateInstances", "StopInstances", "RebootInstances", "DeleteSecurityGroup"):
        assert lab.cloud.calls_of(operation) == []


def test_a_group_that_was_left_without_nodes_is_shown_and_ended_by_its_id(lab):
    (node,) = lab.create(plan_of(1))
    lab.ec2.terminate_instances(InstanceIds=[node.machine_id])
    shutil.rmtree(lab.home)
    with pytest.raises(UnprovenError, match=f"id {node.cluster_id}: 0 nodes, sg-"):
        lab.provider().destroy("lab")
    lab.journal("lab").take_id(node.cluster_id)
    lab.provider().destroy("lab")
    assert lab.cloud.left() == []


def test_an_old_journal_ends_nothing_of_a_colleague_who_has_the_name_now(lab, theirs):
    lab.journal("lab").take_id("0" * 32)  # ours ended by its LIFETIME, say
    lab.provider().destroy("lab")
    assert len(lab.instances()) == 2
    assert lab.provider().nodes("lab") == []
    with pytest.raises(ProviderError, match="started by user/moto"):
        lab.create(plan_of(2))
    assert len(lab.instances()) == 2


def test_a_start_that_fails_takes_back_its_own_alone(lab, theirs):
    lab.ec2.create_tags(Resources=[theirs[0].machine_id], Tags=tags.tag_list({tags.CLUSTER: "elsewhere"}))
    lab.ec2.create_tags(Resources=[theirs[1].machine_id], Tags=tags.tag_list({tags.CLUSTER: "elsewhere"}))
    uuid = theirs[0].cluster_id
    before = state_of(lab, uuid)
    lab.cloud.faults.add(NoCapacity("CreateFleet", market="on-demand"))
    with pytest.raises(ProviderError, match="could not be had"):
        lab.create(plan_of(2))
    assert state_of(lab, uuid) == before


def test_the_firewall_of_ours_is_changed_and_audited_and_theirs_is_not(lab, theirs):
    start_beside(lab)
    uuid = theirs[0].cluster_id
    before = state_of(lab, uuid)
    lab.options = replace(lab.options, allow_from=("198.51.100.9/32",))
    lab.provider().allow_ssh("lab")
    assert state_of(lab, uuid) == before
    assert len(lab.provider().audit("lab").machines) == 2
    own = lab.provider()._journal("lab").cluster_id
    lab.provider().destroy("lab")
    assert lab.provider().leftovers("lab", own) == []
    assert len(lab.instances()) == 2


@pytest.mark.parametrize("key", [("lab", ""), ("", "u"), ("", "")])
def test_a_key_without_an_id_cannot_be_made(key):
    with pytest.raises(UnprovenError):
        tags.ClusterKey(*key)


def test_the_end_of_a_cluster_takes_a_key_and_no_name(lab):
    with pytest.raises(AttributeError):
        end_cluster(lab.aws, "lab", home=False)
