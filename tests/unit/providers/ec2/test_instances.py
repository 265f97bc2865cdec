"""Who is who: names, owners, regions and images, with and without the laptop's files."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from clusterctl import __version__
from clusterctl.errors import NewerFormatError, ProviderError, UnprovenError
from clusterctl.model import NodeState
from clusterctl.providers.base import Identified
from clusterctl.providers.ec2 import images, tags
from clusterctl.providers.ec2.aws import Aws, AwsError, Credentials
from clusterctl.providers.ec2.launch import fleets
from clusterctl.secret import Secret

from ....support.ec2_lab import SPOT, plan_of


def ids(nodes):
    return {node.alias: node.id for node in nodes}


class TestFormats:
    def relabel(self, lab, node, **values):
        pairs = [{"Key": f"clusterctl:{key}", "Value": value} for key, value in values.items()]
        lab.ec2.create_tags(Resources=[node.id.partition("@")[0]], Tags=pairs)

    def test_instances_of_the_first_version_which_have_no_number_are_known(self, lab):
        (node,) = lab.create(plan_of(1))
        tagged = {tag["Key"]: tag["Value"] for tag in lab.instances()[0]["Tags"]}
        assert (tagged["clusterctl:format"], tagged["clusterctl:version"]) == ("1", __version__)
        ours = [{"Key": "clusterctl:format"}, {"Key": "clusterctl:version"}]
        lab.ec2.delete_tags(Resources=[node.id.partition("@")[0]], Tags=ours)
        assert lab.provider().nodes("lab") == lab.create(plan_of(1)) == [node]

    def test_those_of_a_newer_version_are_refused_by_name_and_hide_no_others(self, lab):
        node = lab.create(plan_of(1))[0]
        self.relabel(lab, node, format="2", version="0.9.1")
        for act in (lambda: lab.provider().nodes("lab"), lambda: lab.create(plan_of(2))):
            with pytest.raises(NewerFormatError, match=r"of lab has format 2, which clusterctl 0\.9\.1 wrote"):
                act()
        with pytest.raises(NewerFormatError):
            lab.provider().destroy("lab")
        assert [node.cluster for node in lab.provider().nodes()] == ["lab"]
        assert len(lab.instances()) == 1


class TestNames:
    def test_those_of_a_big_launch_are_in_the_journal_and_take_no_call_each(self, lab, monkeypatch):
        monkeypatch.setattr(fleets, "_TAGGED", 2)
        made = lab.create(plan_of(5))
        assert lab.cloud.calls_of("CreateTags") == []
        assert ids(lab.provider().nodes("lab")) == ids(made)

    def test_a_node_that_goes_takes_no_other_ones_name_with_it(self, lab, monkeypatch):
        monkeypatch.setattr(fleets, "_TAGGED", 0)
        before = ids(lab.create(plan_of(5)))
        lab.provider().destroy("lab", ["node002"])
        after = ids(lab.provider().nodes("lab"))
        assert after == {alias: id_ for alias, id_ in before.items() if alias != "node002"}
        lab.create(plan_of(5))
        again = ids(lab.provider().nodes("lab"))
        assert {alias: again[alias] for alias in after} == after
        assert again["node002"] != before["node002"]

    @pytest.mark.parametrize("tagged", [0, 20])
    def test_without_the_files_all_are_found_and_named_and_are_ended_by_their_id(self, lab, monkeypatch, tagged):
        monkeypatch.setattr(fleets, "_TAGGED", tagged)
        made = ids(lab.create(plan_of(4)))
        shutil.rmtree(lab.home)
        found = lab.provider().nodes("lab")
        assert [node.alias for node in found] == ["master", "node001", "node002", "node003"]
        assert set(ids(found).values()) == set(made.values())
        if tagged:
            assert ids(found) == made
        with pytest.raises(UnprovenError, match="made by user/moto"):
            lab.provider().destroy("lab")
        lab.journal("lab").take_id(found[0].cluster_id)
        lab.provider().destroy("lab")
        assert lab.cloud.left() == []

    def test_without_the_files_a_start_adds_to_nothing(self, lab):
        lab.create(plan_of(3))
        shutil.rmtree(lab.home)
        with pytest.raises(ProviderError, match="started by user/moto") as caught:
            lab.create(plan_of(3))
        assert "clusterctl attach lab" in caught.value.remedy
        assert len(lab.instances()) == 3


class TestOwners:
    def test_somebody_elses_cluster_of_the_same_name_is_left_alone(self, lab, tmp_path):
        lab.create(plan_of(1))
        lab.home, lab.owner = tmp_path / "another laptop", "you@there"
        with pytest.raises(ProviderError, match="started by user/moto") as caught:
            lab.create(plan_of(2))
        assert "another name" in caught.value.remedy
        assert len(lab.instances()) == 1

    def test_of_two_that_start_at_the_same_time_the_second_is_refused_and_ends_nothing_of_the_first(
        self, lab, tmp_path
    ):
        first = replace(lab)

        class Late(Aws):
            """Somebody else's laptop, before whose security group ours has made all of its cluster."""

            def call(self, service, operation, **parameters):
                if operation == "create_security_group" and not lab.instances():
                    first.create(plan_of(2))
                return super().call(service, operation, **parameters)

        late = Late("us-east-1", lab.aws._credentials)
        late._sessions = lab.aws._sessions
        lab.home, lab.owner = tmp_path / "another laptop", "you@there"
        with pytest.raises(ProviderError, match="is being started in us-east-1 by user/moto"):
            lab.create(plan_of(3), late)
        assert len(lab.instances()) == 2
        assert [node.alias for node in first.create(plan_of(2))] == ["master", "node001"]
        assert [
            group["GroupName"] for group in lab.cloud.client("ec2").describe_security_groups()["SecurityGroups"]
        ].count("clusterctl-lab") == 1

    def test_two_clusters_are_two(self, lab):
        lab.create(plan_of(2))
        lab.create(plan_of(2, cluster="other"))
        assert [(node.cluster, node.alias) for node in lab.provider().nodes()] == [
            *(("lab", "master"), ("lab", "node001")),
            *(("other", "master"), ("other", "node001")),
        ]
        lab.provider().destroy("lab")
        assert {node.cluster for node in lab.provider().nodes()} == {"other"}


def test_a_cluster_is_found_in_the_region_where_it_was_made(lab, boto):
    elsewhere = boto.lend(Aws("eu-west-1", lab.aws._credentials))
    made = lab.create(plan_of(2), elsewhere)
    assert ids(lab.provider().nodes("lab")) == ids(made)
    lab.provider().destroy("lab")
    assert lab.cloud.left() == []


def test_a_host_key_that_a_node_made_itself_counts_for_that_machine_over_stop_and_start(lab):
    (node,) = lab.create(plan_of(1))
    lab.journal("lab").pin_host_keys([node])
    lab.journal("lab").keep_host_key(node, "ssh-ed25519 AAAAown")
    (known,) = lab.provider().nodes("lab")
    assert (known.host_key, known.bootstrap_key) == ("ssh-ed25519 AAAAown", False)
    lab.provider().stop("lab")
    (again,) = lab.create(plan_of(1))
    assert again.id != node.id
    assert (again.machine_id, again.boot_id != node.boot_id) == (node.machine_id, True)
    assert (again.host_key, again.bootstrap_key) == ("ssh-ed25519 AAAAown", False)
    lab.provider().destroy("lab")
    (new,) = lab.create(plan_of(1))
    assert new.bootstrap_key


class TestSystemsManager:
    def test_nodes_are_reached_by_their_ids_in_the_region_and_with_the_profile_of_the_config(self, lab):
        lab.options = replace(lab.options, ssm=True)
        (node,) = lab.create(plan_of(1))
        id_ = node.id.partition("@")[0]
        assert node.address == id_
        assert node.access.command[:6] == ("aws", "--region", "us-east-1", "ssm", "start-session", "--target")
        assert node.access.command[6] == id_

    @pytest.mark.parametrize(
        ("known", "words"),
        [
            (Credentials(), ()),
            (Credentials(profile="research"), ("--profile", "research")),
            (Credentials(profile="research", access_key_id="AKIA", secret_access_key=Secret("x")), ()),
        ],
    )
    def test_the_program_that_leads_there_is_told_who_logs_in_and_never_a_key(self, known, words):
        assert Aws("eu-west-1", known).cli_options == ("--region", "eu-west-1", *words)


class TestPower:
    def test_spot_instances_end_and_the_others_stop(self, lab):
        lab.create(plan_of(3, SPOT))
        lab.provider().stop("lab")
        assert [(node.alias, node.state) for node in lab.provider().nodes("lab")] == [("master", NodeState.STOPPED)]

    def test_reboot_is_asked_of_all_that_run(self, lab):
        lab.create(plan_of(2))
        lab.provider().reboot("lab")
        (call,) = lab.cloud.calls_of("RebootInstances")
        assert len(call.params["InstanceIds"]) == 2


class TestImages:
    def test_a_baked_one_is_found_by_what_is_in_it_and_on_what_it_is_built(self, lab, monkeypatch):
        lab.create(plan_of(1, cluster="bake-big"))
        made = lab.provider().save_image("bake-big", "debian-12", "c0ffee")
        provider = lab.provider()
        assert provider.find_image("debian-12", "c0ffee") == made
        assert provider.find_image("ubuntu-24.04", "c0ffee") == ""
        assert provider.find_image("debian-12", "other") == ""
        (image,) = provider.list_images()
        assert (image.name, image.content, image.base) == (made, "c0ffee", "debian-12/x86_64")
        nodes = lab.create(replace(plan_of(2), nodes=tuple(replace(n, image=made) for n in plan_of(2).nodes)))
        assert {each["ImageId"] for each in lab.instances() if tags.tags_of(each)[tags.CLUSTER] == "lab"} == {made}
        assert len(nodes) == 2
        provider.remove_image(made)
        provider.remove_image(made)
        assert provider.list_images() == []

    def test_one_for_another_architecture_is_not_taken_for_it_where_only_the_types_say_which(self, lab, monkeypatch):
        arm = replace(SPOT, types=("c7g.large",), market="on-demand", bid=None)
        baker = lab.provider()
        assert baker.check(plan_of(1, arm, cluster="bake-arm")) == []
        lab.create(plan_of(1, arm, cluster="bake-arm"))
        made = baker.save_image("bake-arm", "debian-12", "c0ffee")
        assert baker.find_image("debian-12", "c0ffee") == made
        other = lab.provider()
        assert other.check(plan_of(2)) == []
        assert other.find_image("debian-12", "c0ffee") == ""

    @pytest.mark.parametrize("name", ["ubuntu-24.04", "ubuntu-22.04", "debian-12", "debian-13", "al2023", "gpu", ""])
    @pytest.mark.parametrize("arch", ["x86_64", "arm64"])
    def test_each_system_has_one_for_each_architecture(self, lab, name, arch):
        found = images.resolve_images(lab.aws, [name], arch=arch, known={})[name]
        assert found.arch == arch
        assert found.root_gb > 0

    def test_one_that_does_not_exist_is_a_problem_with_what_there_is(self, lab):
        for wrong in ("ubuntu-99.04", "ami-0123456789abcdef0"):
            plan = plan_of(1)
            (problem,) = lab.provider().check(replace(plan, nodes=(replace(plan.nodes[0], image=wrong),)))
            assert wrong in problem.message
            assert "debian-12" in problem.remedy


def test_who_aws_takes_us_for_is_asked_and_refused_keys_are_an_error(lab, monkeypatch):
    provider = lab.provider()
    assert isinstance(provider, Identified)
    assert provider.identity().startswith("arn:aws:")
    assert provider.identity().endswith("in us-east-1")

    def refuse(*_, **__):
        raise AwsError("sts refused", remedy="check the keys", code="InvalidClientTokenId")

    monkeypatch.setattr(Aws, "call", refuse)
    with pytest.raises(ProviderError, match="sts refused"):
        provider.identity()
