"""What is asked of AWS: the shape of every request that makes something."""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from dataclasses import replace
from decimal import Decimal

import pytest

from clusterctl.errors import ProviderError
from clusterctl.model import Market, Volume
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.launch import userdata
from clusterctl.providers.ec2.options import Permission

from .....support.ec2_lab import BOTH, HERE, SPOT, plan_of

pytestmark = pytest.mark.slow  # all of them together take a quarter of a minute

SECRET_MARK = "PRIVATE KEY"


def templates(lab):
    """What the launch templates of all launches said, in order."""
    return [call.params["LaunchTemplateData"] for call in lab.cloud.calls_of("CreateLaunchTemplate")]


def fleets(lab):
    """Those that were asked for in earnest."""
    return [call.params for call in lab.cloud.calls_of("CreateFleet") if not call.params.get("DryRun")]


class TestLaunch:
    def test_workers_are_asked_for_in_one_request_and_the_master_follows_into_their_zone(self, lab):
        lab.create(plan_of(4, SPOT))
        workers, master = fleets(lab)
        assert workers["Type"] == "instant"
        assert workers["TargetCapacitySpecification"] == {
            "TotalTargetCapacity": 3,
            "DefaultTargetCapacityType": "spot",
        }
        assert workers["SpotOptions"]["AllocationStrategy"] == "price-capacity-optimized"
        assert workers["SpotOptions"]["SingleAvailabilityZone"]
        assert master["TargetCapacitySpecification"]["DefaultTargetCapacityType"] == "on-demand"
        zones = {each["Placement"]["AvailabilityZone"] for each in lab.instances()}
        assert len(zones) == 1

    def test_each_type_in_each_subnet_is_a_pool_capped_by_the_bid(self, lab):
        lab.create(plan_of(2, SPOT))
        pools = fleets(lab)[0]["LaunchTemplateConfigs"][0]["Overrides"]
        subnets = {pool["SubnetId"] for pool in pools}
        assert len(subnets) > 1
        assert {(pool["InstanceType"], pool["SubnetId"]) for pool in pools} == {
            (kind, subnet) for kind in SPOT.types for subnet in subnets
        }
        assert {pool["MaxPrice"] for pool in pools} == {"0.10"}
        assert not any("MaxPrice" in pool for pool in fleets(lab)[1]["LaunchTemplateConfigs"][0]["Overrides"])

    def test_the_bid_is_written_out_as_ec2_reads_it(self, lab):
        lab.create(plan_of(2, replace(SPOT, bid=Decimal("1E+1"))))
        pools = fleets(lab)[0]["LaunchTemplateConfigs"][0]["Overrides"]
        assert {pool["MaxPrice"] for pool in pools} == {"10"}

    def test_without_a_type_all_that_fit_are_asked_for(self, lab):
        worker = replace(BOTH, types=(), vcpus=4, memory_gb=8)
        assert lab.provider().check(plan_of(2, worker)) == []
        lab.create(plan_of(2, worker))
        pools = fleets(lab)[0]["LaunchTemplateConfigs"][0]["Overrides"]
        kinds = {pool["InstanceType"] for pool in pools}
        assert {"c7i.xlarge", "m7i.xlarge"} <= kinds
        assert not kinds & {"c7i.large", "t3.xlarge"}
        assert len(pools) <= 300

    def test_what_no_type_has_is_a_problem_before_anything_is_made(self, lab):
        (problem,) = lab.provider().check(plan_of(2, replace(BOTH, types=(), vcpus=4, memory_gb=9999)))
        assert "4 processors and 9999 GB" in problem.message

    def test_requests_for_spot_instances_have_the_tags_of_their_instances(self, lab):
        lab.options = replace(lab.options, tags={"project": "x"})
        lab.create(plan_of(3, SPOT))
        requests = lab.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
        assert len(requests) == 2
        for request in requests:
            found = tags.tags_of(request)
            assert (found[tags.CLUSTER], found["project"], found[tags.OWNER]) == ("lab", "x", "user/moto")

    def test_zones_any_lets_nodes_be_anywhere(self, lab):
        lab.options = replace(lab.options, any_zone=True)
        lab.create(plan_of(2, SPOT))
        said = [fleet[key]["SingleAvailabilityZone"] for fleet in fleets(lab) for key in fleet if "Options" in key]
        assert said == [False, False]

    def test_a_thousand_are_one_request_and_more_are_several(self, lab):
        from clusterctl.providers.ec2.launch.fleet_requests import group_specs

        sizes = [len(wanted.aliases) for wanted in group_specs(plan_of(2202, SPOT).nodes)]
        assert sizes == [1000, 1000, 201, 1]

    def test_disks_are_encrypted_and_the_metadata_service_wants_tokens(self, lab):
        lab.cloud.client("iam").create_instance_profile(InstanceProfileName="p")
        lab.options = replace(lab.options, root_volume_gb=50, root_volume_type="gp2", instance_profile="p")
        lab.create(plan_of(2))
        for data in templates(lab):
            (disk,) = data["BlockDeviceMappings"]
            assert disk["Ebs"] == {
                "VolumeType": "gp2",
                "Encrypted": True,
                "DeleteOnTermination": True,
                "VolumeSize": 50,
            }
            assert data["MetadataOptions"]["HttpTokens"] == "required"
            assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
            assert data["IamInstanceProfile"] == {"Name": "p"}

    @pytest.mark.parametrize(
        ("stops", "market", "behaviour"),
        [
            (True, Market.ON_DEMAND, "stop"),
            (False, Market.ON_DEMAND, "terminate"),
            (True, Market.SPOT, "terminate"),
        ],
    )
    def test_only_a_master_on_demand_keeps_its_disk_when_it_is_switched_off_from_inside(
        self, lab, stops, market, behaviour
    ):
        lab.options = replace(lab.options, master_stops=stops, lifetime_h=1)
        plan = plan_of(2, SPOT)
        lab.create(replace(plan, nodes=tuple(replace(spec, market=market) for spec in plan.nodes)))
        asked = [data["InstanceInitiatedShutdownBehavior"] for data in templates(lab)]
        assert sorted(asked) == sorted(["terminate", behaviour])
        nodes = {node.alias: node for node in lab.provider().nodes("lab")}
        assert [nodes[alias].gone_when_off for alias in ("master", "node001")] == [behaviour == "terminate", True]
        expires = {tags.tags_of(each).get(tags.ROLE): tags.EXPIRES in tags.tags_of(each) for each in lab.instances()}
        assert expires == {"master": behaviour == "terminate", "worker": True}, "a disk that is kept is not swept"

    def test_everything_is_tagged_at_birth_with_the_users_own_tags_too(self, lab):
        lab.options = replace(lab.options, tags={"project": "x"})
        lab.create(plan_of(2))
        for data in templates(lab):
            kinds = {each["ResourceType"]: tags.tags_of({"Tags": each["Tags"]}) for each in data["TagSpecifications"]}
            assert kinds.keys() == {"instance", "volume", "network-interface"}
            for marks in kinds.values():
                assert marks[tags.CLUSTER] == "lab"
                assert marks[tags.OWNER] == "user/moto"
                assert marks["project"] == "x"
                assert len(marks[tags.UUID]) == 32
        for call in (*lab.cloud.calls_of("CreateSecurityGroup"), *lab.cloud.calls_of("CreateFleet")):
            assert call.params["TagSpecifications"]

    def test_a_few_nodes_show_their_names_in_the_console(self, lab):
        lab.create(plan_of(3))
        names = {tags.tags_of(each)["Name"] for each in lab.instances()}
        assert names == {"lab-master", "lab-node001", "lab-node002"}

    def test_a_node_that_is_added_goes_where_the_others_are(self, lab):
        (first,) = lab.create(plan_of(1))
        lab.cloud.clear_calls()
        lab.create(plan_of(2, SPOT))
        pools = fleets(lab)[0]["LaunchTemplateConfigs"][0]["Overrides"]
        (there,) = [each for each in lab.instances() if each["InstanceId"] in first.id]
        assert {pool["SubnetId"] for pool in pools} == {there["SubnetId"]}

    def test_later_nodes_get_the_image_that_the_first_ones_got(self, lab):
        lab.create(plan_of(1))
        lab.cloud.clear_calls()
        lab.create(plan_of(2))
        assert lab.cloud.calls_of("GetParameters") == []
        assert len({each["ImageId"] for each in lab.instances()}) == 1

    def test_launch_templates_live_no_longer_than_the_launch(self, lab):
        lab.create(plan_of(3, SPOT))
        assert lab.ec2.describe_launch_templates()["LaunchTemplates"] == []


class TestUserData:
    def text(self, lab):
        raw = base64.b64decode(templates(lab)[0]["UserData"])
        return (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode()

    def config(self, lab):
        return json.loads(self.text(lab).removeprefix("#cloud-config\n"))

    def test_it_makes_a_login_that_lets_in_the_clusters_own_key_and_no_password(self, lab):
        lab.create(plan_of(1))
        config = self.config(lab)
        login = config["users"][1]
        assert (login["name"], login["ssh_authorized_keys"]) == ("clusterctl", [lab.public_key])
        assert login["lock_passwd"]
        assert not config["ssh_pwauth"]

    def test_the_host_key_in_it_is_the_one_that_nodes_must_show_and_the_only_secret(self, lab):
        (node,) = lab.create(plan_of(1))
        keys = self.config(lab)["ssh_keys"]
        assert node.host_key == keys["ed25519_public"].strip()
        assert node.bootstrap_key
        text = self.text(lab)
        assert text.count(SECRET_MARK) == 2  # its begin and its end
        assert "SECRET" not in text.replace(SECRET_MARK, "").upper()

    def test_names_stay_as_they_are_made_at_the_join(self, lab):
        lab.create(plan_of(1))
        config = self.config(lab)
        assert (config["preserve_hostname"], config["manage_etc_hosts"]) == (True, False)

    def test_another_launch_has_another_one(self, lab):
        lab.create(plan_of(1))
        lab.create(plan_of(2))
        first, second = (tags.tags_of(each)[tags.HOST_KEY] for each in lab.instances())
        assert first != second

    def test_the_metadata_service_is_closed_unless_the_user_may_ask(self, lab):
        lab.create(plan_of(1))
        commands = [str(command) for command in self.config(lab)["bootcmd"]]
        assert sum("169.254.169.254/32 uidrange 1-4294967294 prohibit pref 100" in text for text in commands) == 1
        # The one that asks EC2 Instance Connect for sshd comes before.
        (open_rule,) = [text for text in commands if "169.254.169.254/32 uidrange $u-$u lookup main pref 99" in text]
        assert "u=$(id -u ec2-instance-connect 2>/dev/null) &&" in open_rule
        # systemd-networkd takes away what is not the kernel's; whatever it took is made again.
        assert "prohibit pref 100 protocol kernel" in str(commands)
        (drop_in,) = self.config(lab)["write_files"]
        assert drop_in["path"] == "/etc/systemd/system/systemd-networkd.service.d/clusterctl.conf"
        again = [shlex.split(line.removeprefix("ExecStartPost=+-")) for line in drop_in["content"].splitlines()[1:]]
        rules = [command for command in self.config(lab)["bootcmd"] if "rule add" in str(command)]
        assert [["sh", "-c", words[2].replace("$$", "$")] for words in again] == rules
        lab.provider().destroy("lab")
        lab.cloud.clear_calls()
        lab.options = replace(lab.options, metadata_for_user=True)
        lab.create(plan_of(1))
        assert "uidrange" not in self.text(lab)

    def test_a_lifetime_ends_the_node_and_is_on_its_tag(self, lab):
        lab.options = replace(lab.options, lifetime_h=2)
        lab.create(plan_of(1))
        files = {each["path"].rsplit("/", 1)[-1]: each["content"] for each in self.config(lab)["write_files"]}
        assert "Persistent=false" in files["clusterctl-lifetime.timer"], "a master that stopped is to be started again"
        lab.provider().destroy("lab")
        lab.cloud.clear_calls()
        lab.options = replace(lab.options, master_stops=False)
        lab.create(plan_of(1))
        files = {each["path"].rsplit("/", 1)[-1]: each["content"] for each in self.config(lab)["write_files"]}
        assert "Persistent=true" in files["clusterctl-lifetime.timer"]
        expires = tags.tags_of(lab.instances()[0])[tags.EXPIRES]
        assert f"OnCalendar={expires[:10]} {expires[11:19]} UTC" in files["clusterctl-lifetime.timer"]
        assert "poweroff" in files["clusterctl-lifetime.service"]

    def test_scripts_of_the_user_are_parts_of_it(self, lab, tmp_path):
        script = tmp_path / "setup.sh"
        script.write_text("#!/bin/sh\necho hello\n")
        lab.options = replace(lab.options, scripts=(script,))
        lab.create(plan_of(1))
        text = self.text(lab)
        assert "multipart/mixed" in text
        assert 'filename="setup.sh"' in text

    def test_what_is_long_is_compressed_and_what_is_too_long_is_refused(self, lab, tmp_path):
        script = tmp_path / "long.sh"
        script.write_text("#!/bin/sh\n" + "echo hello\n" * 5000)
        lab.options = replace(lab.options, scripts=(script,))
        lab.create(plan_of(1))
        assert len(base64.b64decode(templates(lab)[0]["UserData"])) < userdata.LIMIT_BYTES
        import random

        script.write_text("#!/bin/sh\n" + "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123", k=60000)))
        lab.cloud.clear_calls()
        with pytest.raises(ProviderError, match="16384"):
            lab.create(plan_of(2))
        assert len(lab.instances()) == 1


class TestDoors:
    def rules(self, lab):
        (group,) = [
            each
            for each in lab.ec2.describe_security_groups()["SecurityGroups"]
            if each["GroupName"] == "clusterctl-lab"
        ]
        return group, {
            (each["IpProtocol"], each.get("FromPort"), given["CidrIp"])
            for each in group["IpPermissions"]
            for given in each["IpRanges"]
        }

    def test_ssh_is_open_to_the_caller_and_everything_to_members_and_nothing_else_to_anybody(self, lab):
        lab.create(plan_of(2))
        group, rules = self.rules(lab)
        assert rules == {("tcp", 22, HERE)}
        pairs = [pair["GroupId"] for each in group["IpPermissions"] for pair in each["UserIdGroupPairs"]]
        assert pairs == [group["GroupId"]]

    def test_permissions_are_open_to_whom_they_say(self, lab):
        lab.options = replace(lab.options, permissions=(Permission("web", "tcp", 8080, 8081, "198.51.100.0/24"),))
        lab.create(plan_of(1))
        assert self.rules(lab)[1] == {("tcp", 22, HERE), ("tcp", 8080, "198.51.100.0/24")}

    def test_whoever_starts_it_again_from_elsewhere_is_let_in(self, lab):
        lab.create(plan_of(1))
        lab.provider().stop("lab")
        lab.options = replace(lab.options, allow_from=("198.51.100.9/32",))
        lab.create(plan_of(1))
        assert ("tcp", 22, "198.51.100.9/32") in self.rules(lab)[1]

    def test_allow_me_lets_in_the_new_address_and_not_the_old_one(self, lab):
        lab.create(plan_of(1))
        lab.options = replace(lab.options, allow_from=("198.51.100.9/32",))
        assert lab.provider().allow_ssh("lab") == (["198.51.100.9/32"], [HERE])
        assert self.rules(lab)[1] == {("tcp", 22, "198.51.100.9/32")}
        assert lab.provider().allow_ssh("lab") == (["198.51.100.9/32"], ["198.51.100.9/32"])

    def test_a_group_of_that_name_that_is_not_ours_is_left_alone(self, lab):
        ec2 = lab.ec2
        ec2.create_security_group(GroupName="clusterctl-lab", Description="theirs")
        with pytest.raises(ProviderError, match="was not made by clusterctl"):
            lab.create(plan_of(1))
        assert self.rules(lab)[1] == set()


class TestVolumes:
    def volume(self, lab, zone):
        made = lab.ec2.create_volume(Size=10, AvailabilityZone=zone)["VolumeId"]
        return made, Volume("data", "/data", id=made)

    def test_the_cluster_goes_where_its_volume_is_and_the_master_gets_it(self, lab):
        made, volume = self.volume(lab, "us-east-1c")
        plan = plan_of(2, SPOT, volumes=(volume,))
        assert lab.provider().check(plan) == []
        master = lab.create(plan)[0]
        assert {each["Placement"]["AvailabilityZone"] for each in lab.instances()} == {"us-east-1c"}
        (held,) = lab.ec2.describe_volumes(VolumeIds=[made])["Volumes"][0]["Attachments"]
        assert held["InstanceId"] == master.id.partition("@")[0]
        lab.create(plan)  # attached already: nothing to do

    def test_one_that_another_instance_has_is_refused_and_nothing_is_left(self, lab):
        made, volume = self.volume(lab, "us-east-1a")
        other = lab.create(plan_of(1, cluster="other", volumes=(volume,)))
        with pytest.raises(ProviderError, match=f"{made} is attached to {other[0].id.partition('@')[0]}"):
            lab.create(plan_of(1, volumes=(volume,)))
        assert len(lab.instances()) == 1

    def test_one_that_does_not_exist_is_a_problem_before_anything_is_made(self, lab):
        volume = Volume("data", "/data", id="vol-0123456789abcdef0")
        (problem,) = lab.provider().check(plan_of(1, volumes=(volume,)))
        assert "there is no vol-0123456789abcdef0" in problem.message
