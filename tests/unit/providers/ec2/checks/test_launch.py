"""A launch is refused before it costs money: each thing that EC2 would refuse, or leave unreachable, is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from clusterctl_standin.faults import Fails, Throttled, Unauthorized

from clusterctl.events import EventKind, Reporter
from clusterctl.model import MASTER, Market, Volume

from .....support.ec2_lab import BOTH, OPTIONS, SPOT, plan_of
from .....support.sampling import rest

ON_DEMAND, ON_SPOT = "L-1216C47A", "L-34B43A08"
PUBLIC = replace(OPTIONS, address="auto")
PRIVATE = replace(OPTIONS, public_ips=False)


def problems(lab, plan=None, **options):
    """What stops, as `message | remedy`; what is told besides is in `lab.events`."""
    lab.options = replace(lab.options, **options)
    found = lab.provider().check(plan or plan_of(3, BOTH), Reporter(lab.events.append))
    return [f"{problem.message} | {problem.remedy}" for problem in found]


def warnings(lab):
    return [event.text for event in lab.events if event.kind == EventKind.WARNING]


def own_network(lab, *, way="nat-"):
    """The id of a subnet of another network, with one way out: a gateway, a NAT that is gone, or none."""
    vpc = lab.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = lab.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]
    (table,) = lab.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    to = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    if way == "igw-":
        gateway = lab.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        lab.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        lab.ec2.create_route(**to, GatewayId=gateway)
    elif way == "nat-":
        nat = lab.ec2.create_nat_gateway(SubnetId=made["SubnetId"], ConnectivityType="private")["NatGateway"]
        lab.ec2.create_route(**to, NatGatewayId=nat["NatGatewayId"])
    return made["SubnetId"]


class TestNothingWrong:
    def test_who_and_where_is_said_and_nothing_is_made(self, lab):
        assert problems(lab) == []
        (said,) = lab.said
        assert said.startswith("In us-east-1, as ")
        assert said.endswith("of the account 123456789012")
        assert lab.cloud.left() == []
        assert {call.status for call in lab.cloud.calls if call.params.get("DryRun")} == {412}

    def test_a_cluster_that_is_complete_costs_one_call(self, lab):
        lab.create(plan_of(3, BOTH))
        lab.cloud.clear_calls()
        assert problems(lab) == []
        assert [call.action for call in lab.cloud.calls] == ["DescribeInstances"]

    def test_the_price_asks_for_no_quota_again(self, lab):
        provider = lab.provider()
        assert provider.check(plan_of(3, BOTH)) == []
        provider.estimate_nodes(plan_of(3, BOTH), [])
        assert len(lab.cloud.calls_of("GetServiceQuota")) == 2


class TestRights:
    @pytest.mark.parametrize(
        "action",
        [
            *("CreateFleet", "CreatePlacementGroup"),
            *rest("CreateSecurityGroup", "CreateLaunchTemplate", "RunInstances"),
        ],
    )
    def test_each_that_is_missing_is_named_with_its_remedy(self, lab, action):
        lab.cloud.faults.add(Unauthorized(action))
        (problem,) = problems(lab, placement_group=True)
        assert f"a start needs ec2:{action}, which you may not" in problem
        assert "let somebody with rights in the account allow it" in problem

    @pytest.mark.parametrize("action", ["CreateVolume", "AttachVolume"])
    def test_those_for_a_volume_with_the_home_too(self, lab, action):
        lab.cloud.faults.add(Unauthorized(action))
        (problem,) = problems(lab, plan_of(2, BOTH, home_volume=True))
        assert f"a start needs ec2:{action}, which you may not" in problem
        assert problems(lab) == []  # without such a volume nobody needs it

    def test_a_home_that_is_there_is_not_made_again(self, lab):
        plan = plan_of(2, home_volume=True)
        lab.create(plan)
        lab.ec2.terminate_instances(InstanceIds=[each["InstanceId"] for each in lab.instances()])
        lab.cloud.faults.add(Unauthorized("CreateVolume"))
        assert problems(lab, plan) == []

    def test_what_else_ec2_says_of_a_volume_that_does_not_exist_means_nothing(self, lab):
        class EvenDry(Fails):
            def concerns(self, request):
                return request.action == self.action

        lab.cloud.faults.add(EvenDry("AttachVolume", code="InvalidVolume.NotFound"))
        assert problems(lab, plan_of(2, BOTH, home_volume=True)) == []

    def test_all_of_them_are_told_at_once(self, lab):
        lab.cloud.faults.add(*(Unauthorized(action) for action in ("CreateLaunchTemplate", "CreateFleet")))
        assert len(problems(lab)) == 2

    @pytest.mark.parametrize(
        ("action", "words"),
        [
            ("GetServiceQuota", "not checked: the quotas"),
            ("DescribeRouteTables", "not checked: the routes of the subnets"),
            ("DescribeInstanceTypeOfferings", "not checked: which zones offer the types"),
            ("DescribeKeyPairs", "not checked: the key pair"),
            ("GetEbsDefaultKmsKeyId", "not checked: the key of the disks"),
            ("GetCallerIdentity", "as me@here (the account does not say)"),
        ],
    )
    def test_a_check_that_is_not_allowed_is_told_and_stops_nothing(self, lab, action, words):
        lab.cloud.faults.add(Unauthorized(action))
        assert problems(lab, key_name="mine" if action == "DescribeKeyPairs" else "") == []
        assert sum(words in said for said in lab.said) == 1

    def test_a_busy_ec2_stops_nothing_either(self, lab):
        lab.cloud.faults.add(Throttled("DescribeRouteTables", times=20))
        assert problems(lab) == []
        assert any("not checked: the routes" in said for said in lab.said)

    def test_a_profile_that_is_not_there_is_named(self, lab):
        (problem,) = problems(lab, instance_profile="none")
        assert "Value (none) for parameter iamInstanceProfile.name is invalid" in problem
        assert "correct INSTANCE_PROFILE" in problem


class TestPlan:
    def test_types_of_the_free_plan_are_named_where_only_they_are_allowed(self, lab):
        lab.cloud.account.free_plan = True
        (problem,) = problems(lab)
        assert "the account's plan has none of c7i.large, c7a.large" in problem
        assert "set NODE_INSTANCE_TYPE = c7i-flex.large, m7i-flex.large" in problem

    def test_one_of_them_among_the_types_is_enough(self, lab):
        lab.cloud.account.free_plan = True
        worker = replace(BOTH, types=("c7i.large", "c7i-flex.large"))
        assert problems(lab, plan_of(3, worker)) == []
        assert {node.type for node in lab.create(plan_of(3, worker))} == {"c7i-flex.large"}


class TestQuotas:
    def test_one_that_leaves_no_master_stops(self, lab):
        lab.cloud.quotas[ON_DEMAND] = 1
        (problem,) = problems(lab, plan_of(3, SPOT))
        assert f"on demand, standard types: the quota {ON_DEMAND} leaves 1 processor in us-east-1" in problem
        assert "Service Quotas console" in problem

    def test_one_of_spot_is_made_up_for_on_demand_where_that_was_agreed_to(self, lab):
        lab.cloud.quotas[ON_SPOT] = 0
        assert problems(lab, plan_of(3, BOTH)) == []
        (problem,) = problems(lab, plan_of(3, SPOT))
        assert f"the quota {ON_SPOT} leaves 0 processors" in problem

    def test_fewer_nodes_than_wanted_are_a_warning_where_min_size_says_so(self, lab):
        lab.cloud.quotas[ON_SPOT] = 2
        assert problems(lab, plan_of(3, SPOT, min_size=2)) == []
        assert any(f"the quota {ON_SPOT} leaves 2 processors" in said for said in warnings(lab))

    def test_what_runs_counts_also_for_both_markets_together(self, lab):
        lab.create(plan_of(2, cluster="other"))
        lab.cloud.quotas[ON_DEMAND] = 4 + 4
        lab.cloud.quotas[ON_SPOT] = 0
        (problem,) = problems(lab, plan_of(3, BOTH))
        assert f"the quota {ON_DEMAND} leaves 4 processors" in problem


class TestNetwork:
    def test_public_addresses_without_an_internet_gateway_stop(self, lab):
        lab.options = PUBLIC
        (problem,) = problems(lab, subnets=(own_network(lab),))
        assert "(us-east-1a) to an internet gateway: nobody reaches public addresses there" in problem

    def test_with_one_all_is_well(self, lab):
        lab.options = PUBLIC
        assert problems(lab, subnets=(own_network(lab, way="igw-"),)) == []
        assert warnings(lab) == []

    @pytest.mark.parametrize("way", ["", "igw-"])
    def test_private_nodes_without_a_nat_are_a_warning(self, lab, way):
        lab.options = PRIVATE
        assert problems(lab, subnets=(own_network(lab, way=way),)) == []
        (said,) = warnings(lab)
        assert "to a NAT: nodes without a public address get no packages" in said

    def test_with_one_they_are_none(self, lab):
        lab.options = PRIVATE
        assert problems(lab, subnets=(own_network(lab),)) == []
        assert warnings(lab) == []
        assert any("Nodes without a public address reach the internet by the NAT gateway nat-" in s for s in lab.said)

    def test_private_workers_beside_a_public_master_are_told_their_way_out(self, lab):
        public = own_network(lab, way="igw-")
        vpc = lab.ec2.describe_subnets(SubnetIds=[public])["Subnets"][0]["VpcId"]
        private = lab.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1a")["Subnet"]
        table = lab.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        lab.ec2.associate_route_table(RouteTableId=table, SubnetId=private["SubnetId"])
        lab.options = replace(PUBLIC, private_workers=True)
        assert problems(lab, subnets=(public, private["SubnetId"])) == []
        (said,) = warnings(lab)
        assert f"no route leads from {private['SubnetId']} (us-east-1a) to a NAT: workers without a public" in said
        nat = lab.ec2.create_nat_gateway(SubnetId=public, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        lab.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        lab.events.clear()
        assert problems(lab) == []
        assert warnings(lab) == []
        assert f"Workers without a public address reach the internet by the NAT gateway {nat}" in lab.said

    def test_room_is_looked_for_where_each_role_goes(self, lab):
        public = own_network(lab, way="igw-")
        vpc = lab.ec2.describe_subnets(SubnetIds=[public])["Subnets"][0]["VpcId"]
        small = lab.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/28", AvailabilityZone="us-east-1a")["Subnet"]
        table = lab.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        lab.ec2.associate_route_table(RouteTableId=table, SubnetId=small["SubnetId"])
        lab.options = replace(PUBLIC, private_workers=True)
        (problem,) = problems(lab, plan_of(13, BOTH), subnets=(public, small["SubnetId"]))
        assert problem.startswith("no subnet has 12 addresses left; the largest has 11")

    def test_a_type_that_no_zone_has_that_may_be_used(self, lab):
        offered = lab.ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["c7i.large"]}]
        )["InstanceTypeOfferings"]
        zones = {zone["ZoneName"] for zone in lab.ec2.describe_availability_zones()["AvailabilityZones"]}
        (without,) = zones - {each["Location"] for each in offered}
        (problem,) = problems(lab, plan_of(2, replace(BOTH, types=("c7i.large",))), zone=without)
        assert f"none of {without} offers c7i.large; us-east-1a" in problem


class TestNamed:
    def test_systems_without_an_agent_do_not_go_with_ssm(self, lab):
        lab.ec2  # noqa: B018  the account is there before the profile
        iam = lab.cloud.client("iam")
        iam.create_instance_profile(InstanceProfileName="ssm")
        assert "debian-12 has no agent" in problems(lab, ssm=True, instance_profile="ssm")[0]
        assert problems(lab, plan_of(2, replace(BOTH, image="ubuntu-24.04"))) == []

    def test_a_volume_that_something_else_has_is_named_before_instances_run(self, lab):
        volume = lab.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        (node,) = lab.create(plan_of(1, cluster="other"))
        zone = lab.instances()[0]["Placement"]["AvailabilityZone"]
        volume = lab.ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        lab.ec2.attach_volume(VolumeId=volume, InstanceId=node.machine_id, Device="/dev/sdf")
        plan = plan_of(2, BOTH, volumes=(Volume("data", PurePosixPath("/data"), id=volume),))
        (problem,) = problems(lab, plan)
        assert f"the volume {volume} is attached to {node.machine_id}" in problem

    def test_the_clusters_own_master_may_have_it(self, lab):
        volume = lab.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        volumes = (Volume("data", PurePosixPath("/data"), id=volume),)
        lab.create(plan_of(1, volumes=volumes))
        assert problems(lab, plan_of(2, volumes=volumes)) == []

    def test_what_the_look_finds_wrong_hides_no_other_fault(self, lab):
        found = problems(lab, plan_of(2, replace(BOTH, types=("x9.large",))), key_name="none")
        assert len(found) == 2
        assert "there is no instance type x9.large" in found[0]
        assert "there is no key pair none" in found[1]


class TestDiskKey:
    @pytest.fixture
    def key(self, lab):
        return lab.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]

    def test_one_that_is_off_stops_and_would_have_ended_every_instance(self, lab, key):
        lab.cloud.client("kms").disable_key(KeyId=key.rpartition("/")[2])
        (problem,) = problems(lab, kms_key=key)
        assert "is Disabled: every instance would end at once" in problem
        with pytest.raises(Exception, match="could not be had"):
            lab.create(plan_of(2))
        assert lab.cloud.left() == []

    def test_the_accounts_own_default_is_looked_at_too(self, lab, key):
        lab.cloud.client("kms").disable_key(KeyId=key.rpartition("/")[2])
        lab.cloud.account.disk_key = key
        assert len(problems(lab)) == 1

    def test_one_that_is_not_there(self, lab):
        (problem,) = problems(lab, kms_key="alias/none")
        assert "alias/none of KMS" in problem

    def test_spot_instances_want_a_grant(self, lab, key):
        assert problems(lab, kms_key=key) == []
        assert any("has no grant for spot instances" in said for said in warnings(lab))
        lab.events.clear()
        role = "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        lab.cloud.client("kms").create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])
        assert problems(lab) == []
        assert warnings(lab) == []

    def test_disks_are_encrypted_with_it(self, lab, key):
        lab.options = replace(lab.options, kms_key=key)
        lab.create(plan_of(2))
        assert {volume["KmsKeyId"] for volume in lab.ec2.describe_volumes()["Volumes"]} == {key}


def test_disks_are_large_enough_for_an_environment_and_the_masters_for_all_homes(lab):
    nodes = lab.create(plan_of(2))
    sizes = {}
    for node in nodes:
        filters = [{"Name": "attachment.instance-id", "Values": [node.machine_id]}]
        (disk,) = lab.ec2.describe_volumes(Filters=filters)["Volumes"]
        sizes[node.alias] = disk["Size"]
    assert sizes == {MASTER: 50, "node001": 20}


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, (50, 20)),
        ({"root_volume_gb": 30}, (30, 30)),
        ({"master_volume_gb": 200}, (200, 20)),
        ({"root_volume_gb": 30, "master_volume_gb": 200}, (200, 30)),
    ],
)
def test_sizes_are_those_that_options_name(options, sizes):
    with_options = replace(OPTIONS, **options)
    assert (with_options.root_gb(MASTER, 8), with_options.root_gb("node001", 8)) == sizes
    assert replace(OPTIONS).root_gb("node001", 100) == 100


def test_a_refused_start_makes_nothing(lab):
    lab.cloud.faults.add(Fails("DescribeInstances", code="AuthFailure", message="no"))
    (problem,) = problems(lab, plan_of(2, replace(BOTH, market=Market.ON_DEMAND)))
    assert "AuthFailure" in problem
