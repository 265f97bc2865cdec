"""How a cluster is kept, as the cloud tells it, and what is left of one that has ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.providers.audits import AuditedIngressRule
from clusterctl.providers.ec2 import Permission

from .....support.ec2_lab import HERE, OPTIONS, plan_of


@pytest.fixture
def up(lab):
    lab.options = replace(OPTIONS, permissions=(Permission("web", "tcp", 8080, 8081, "198.51.100.0/24"),))
    lab.create(plan_of(2))
    return lab.provider()


def test_instances_disks_and_doors_are_told_as_they_are(up):
    audit = up.audit("lab")
    assert len(audit.machines) == len(audit.disks) == 2
    assert all(machine.tagged and machine.requires_token for machine in audit.machines)
    assert all(disk.tagged and disk.encrypted for disk in audit.disks)
    assert set(audit.ingress_rules) == {
        AuditedIngressRule("tcp 22", HERE),
        AuditedIngressRule("all", "members"),
        AuditedIngressRule("tcp 8080-8081", "198.51.100.0/24"),
    }


def test_what_is_not_as_it_should_be_shows(up, lab):
    ec2 = lab.cloud.client("ec2")
    machine = up.audit("lab").machines[0].id
    ec2.delete_tags(Resources=[machine], Tags=[{"Key": "clusterctl:owner"}])
    volume = ec2.create_volume(AvailabilityZone=lab.instances()[0]["Placement"]["AvailabilityZone"], Size=1)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=lab.instances()[0]["InstanceId"], Device="/dev/sdf")
    (group,) = ec2.describe_security_groups(GroupNames=["clusterctl-lab"])["SecurityGroups"]
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}],
    )
    audit = up.audit("lab")
    assert [each.id for each in audit.machines if not each.tagged] == [machine]
    assert [(each.id, each.encrypted) for each in audit.disks if not each.tagged] == [(volume, False)]
    assert AuditedIngressRule("all", "::/0") in audit.ingress_rules


def test_all_of_a_cluster_is_left_before_its_end_and_nothing_after_it(up, lab):
    ids = {"lab": up._journal("lab").cluster_id}
    left = up.leftovers("lab", ids["lab"])
    assert {f"instance {each['InstanceId']}" for each in lab.instances()} <= set(left)
    assert {name.rpartition(" ")[0] for name in left} >= {"instance", "volume", "security group"}
    up.destroy("lab")
    assert up.leftovers("lab", ids["lab"]) == []


def test_another_cluster_is_not_looked_at(up, lab):
    lab.create(plan_of(1, cluster="other"))
    assert len(up.audit("lab").machines) == 2
    ids = {name: up._journal(name).cluster_id for name in ("lab", "other")}
    up.destroy("lab")
    assert up.leftovers("lab", ids["lab"]) == []
    assert up.leftovers("other", ids["other"])
