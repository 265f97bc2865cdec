"""What an AWS account has: instances, spot requests, zones, regions, images, key pairs, volumes."""

from __future__ import annotations

import base64
import json
import os
import stat

import pytest
from click.shell_completion import ShellComplete
from clusterctl_standin.faults import Fails, LostAnswer

from clusterctl.cli.main import cli
from clusterctl.identity import keys
from clusterctl.testing import fake_node
from clusterctl.wiring.local_paths import home_folder

DEBIAN = "/aws/service/debian/release/12/latest/amd64"


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


def tagged(kind, **tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def launch(cloud, *, region=None, market=None, **tags):
    image = cloud.client("ssm", region).get_parameter(Name=DEBIAN)["Parameter"]["Value"]
    made = cloud.client("ec2", region).run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="c5.large",
        **({"TagSpecifications": tagged("instance", **tags)} if tags else {}),
        **({"InstanceMarketOptions": market} if market else {}),
    )
    return made["Instances"][0]["InstanceId"]


def completed(*words, incomplete=""):
    found = ShellComplete(cli, {}, "clusterctl", "_CLUSTERCTL_COMPLETE").get_completions(list(words), incomplete)
    return [item.value for item in found]


class TestInstances:
    def test_none_is_said(self, run, cloud):
        assert run("listinstances").out == "No instances in us-east-1.\n"
        assert run("lsi", "--json").json == []

    def test_ours_and_others_are_shown_with_what_they_are(self, run, cloud):
        other = launch(cloud, Name="other")
        ours = launch(cloud, **{"clusterctl:cluster": "lab", "clusterctl:role": "master"})
        lines = run("lsi").out.splitlines()
        assert lines[0].split()[:3] == ["INSTANCE", "CLUSTER", "NODE"]
        by_id = {line.split()[0]: line.split() for line in lines[1:]}
        assert by_id[other][1:6] == ["-", "-", "other", "running", "c5.large"]
        assert by_id[ours][1:3] == ["lab", "master"]
        found = {each["id"]: each for each in run("lsi", "--json").json}
        assert found[ours]["market"] == "on-demand"
        assert found[ours]["private_address"]
        assert found[ours]["launched"].endswith("Z")

    def test_those_that_are_ended_only_if_asked_for(self, run, cloud, ec2):
        instance = launch(cloud)
        ec2.terminate_instances(InstanceIds=[instance])
        assert instance not in run("lsi").out
        assert instance in run("lsi", "-t").out

    def test_another_region_is_looked_at_if_it_is_named(self, run, cloud):
        instance = launch(cloud, region="eu-west-1")
        assert instance not in run("lsi").out
        assert instance in run("lsi", "-r", "eu-west-1").out

    def test_a_refusal_is_two_lines(self, run, cloud):
        cloud.faults.add(Fails("DescribeInstances", code="UnauthorizedOperation", message="You may not.", status=403))
        said = run("lsi")
        assert said.status == 1
        assert said.err.startswith("error: AWS refused describe instances: You may not. (UnauthorizedOperation)\ntry: ")


class TestSpotRequests:
    def test_open_ones_are_shown_and_closed_ones_if_asked_for(self, run, cloud, ec2):
        assert run("listspots").out == "No requests for spot instances in us-east-1.\n"
        instance = launch(cloud, market={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.10"}})
        (found,) = run("listspots", "--json").json
        assert (found["instance"], found["type"], found["kind"]) == (instance, "c5.large", "one-time")
        assert float(found["max_price_usd"]) == 0.1
        ec2.terminate_instances(InstanceIds=[instance])
        assert found["id"] not in run("listspots").out
        assert found["id"] in run("listspots", "-c").out


class TestConsole:
    def test_an_instance_is_named_by_its_id(self, run, cloud):
        said = run("showconsole", launch(cloud))
        assert said.status == 0
        assert "Cloud-init v." in said.out

    def test_only_what_can_be_printed_is(self, run, cloud, monkeypatch):
        from clusterctl.providers.ec2.aws import Aws

        monkeypatch.setattr(Aws, "call", lambda *_, **__: {"Output": "a\x1b[31mred\x07\r\nb\n"})
        assert run("sc", "i-1").out == "a[31mred\nb\n"

    def test_a_kind_of_machine_that_cannot_tell_the_newest_tells_what_it_can(self, run, cloud):
        cloud.faults.add(Fails("GetConsoleOutput", code="UnsupportedOperation", message="not this type"))
        assert "Cloud-init v." in run("sc", launch(cloud)).out
        assert [call.params.get("Latest") for call in cloud.calls_of("GetConsoleOutput")] == [True, None]

    def test_one_that_is_not_there_is_two_lines(self, run, cloud):
        said = run("sc", "i-0123456789abcdef0")
        assert said.status == 2
        assert "there is no instance i-0123456789abcdef0 in us-east-1" in said.err
        assert "clusterctl listinstances" in said.err

    def test_a_node_is_named_by_its_cluster_and_found_in_the_clusters_region(self, run, laptop, cloud):
        instance = launch(cloud, region="eu-west-1")
        assert run("start", "lab").status == 0
        laptop.provider.name = "ec2"
        master = fake_node("master", cluster="lab", machine_id=instance)
        laptop.provider.nodes = lambda cluster=None: [master]
        from clusterctl.journal import ClusterFolder

        ClusterFolder(home_folder(), "lab").record("ec2", uuid="u", region="eu-west-1")
        for words in (("lab",), ("lab", "master")):
            said = run("sc", *words)
            assert "Cloud-init v." in said.out, said.err

    def test_a_node_of_another_provider_is_refused(self, run, laptop, cloud):
        run("start", "lab")
        said = run("sc", "lab", "1")
        assert said.status == 2
        assert "no EC2 instances" in said.err


class TestOffers:
    def test_regions(self, run, cloud):
        lines = run("lr").out.splitlines()
        assert lines[0].split() == ["REGION", "ENDPOINT"]
        assert "eu-west-1" in {line.split()[0] for line in lines}
        assert {"name": "us-east-1", "endpoint": "ec2.us-east-1.amazonaws.com"} in run("listregions", "--json").json

    def test_a_region_that_is_not_enabled_is_left_out(self, run, cloud):
        found = cloud.client("ec2").describe_regions()["Regions"]
        off = {each["RegionName"] for each in found if each["OptInStatus"] == "not-opted-in"}
        assert off
        assert not off & {each["name"] for each in run("lr", "--json").json}

    def test_zones(self, run, cloud):
        assert run("lz").out.splitlines()[1].split() == ["us-east-1a", "use1-az6", "available", "availability-zone"]
        assert {each["name"][:-1] for each in run("listzones", "-r", "eu-west-1", "--json").json} == {"eu-west-1"}

    def test_images_are_the_newest_of_each_system_and_the_baked_ones(self, run, cloud, ec2):
        found = run("listimages", "--json").json
        assert {(each["system"], each["arch"]) for each in found} == {
            (system, arch)
            for system in ("ubuntu-24.04", "ubuntu-22.04", "debian-12", "debian-13", "al2023", "gpu")
            for arch in ("x86_64", "arm64")
        }
        assert all(each["id"].startswith("ami-") and each["made"].startswith("2025-06-10") for each in found)
        baked = ec2.create_image(
            InstanceId=launch(cloud),
            Name="clusterctl-lab",
            TagSpecifications=tagged(
                "image", **{"clusterctl:image-content": "c0ffee", "clusterctl:image-base": "debian-12/x86_64"}
            ),
        )["ImageId"]
        ec2.create_image(InstanceId=launch(cloud), Name="something-else")
        lines = run("li").out.splitlines()
        assert lines[1].split()[:3] == ["baked", "x86_64", baked]
        assert len(lines) == 14
        assert "something-else" not in str(lines)

    def test_images_cost_four_calls(self, run, cloud):
        cloud.clear_calls()
        run("li")
        assert len(cloud.calls) == 4


class TestKeyPairs:
    def test_one_is_made_its_secret_written_once_and_for_its_owner_only(self, run, cloud, ec2, tmp_path):
        target = tmp_path / "mine.pem"
        said = run("createkey", "mine", "-o", target)
        assert said.status == 0, said.err
        assert (said.out, said.err) == ("", f">>> the key pair mine is in us-east-1, its private key in {target}\n")
        assert stat.S_IMODE(target.stat().st_mode) == 0o400
        public = keys.extract_public_key(target.read_text())
        assert public.startswith("ssh-ed25519 ")
        (found,) = run("listkeypairs", "--json").json
        assert (found["name"], found["type"], found["owner"]) == ("mine", "ed25519", "user/moto")

    def test_without_a_file_the_secret_is_all_there_is_on_stdout(self, run, cloud):
        said = run("ck", "mine", "-t", "rsa")
        assert said.out.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
        assert said.out.endswith("-----END RSA PRIVATE KEY-----\n")
        assert keys.extract_public_key(said.out).startswith("ssh-rsa ")

    def test_a_file_is_never_written_over_and_then_no_pair_is_made(self, run, cloud, ec2, tmp_path):
        (tmp_path / "mine.pem").write_text("precious")
        said = run("ck", "mine", "-o", tmp_path / "mine.pem")
        assert said.status == 2
        assert "is there already" in said.err
        assert (tmp_path / "mine.pem").read_text() == "precious"
        assert ec2.describe_key_pairs()["KeyPairs"] == []
        assert run("ck", "mine", "-o", tmp_path / "none" / "mine.pem").status == 2
        assert ec2.describe_key_pairs()["KeyPairs"] == []

    def test_a_name_that_is_taken_is_refused_and_leaves_no_file(self, run, cloud, tmp_path):
        run("ck", "mine")
        said = run("ck", "mine", "-o", tmp_path / "mine.pem")
        assert said.status == 2
        assert "there is a key pair mine already" in said.err
        assert not (tmp_path / "mine.pem").exists()

    def test_a_key_of_ones_own_is_brought_from_either_half(self, run, cloud, ec2, tmp_path):
        public = keys.ensure_key_pair(tmp_path / "id")
        for name, file in (("private", "id"), ("public", "id.pub")):
            assert run("ck", name, "-i", tmp_path / file).status == 0
            sent = base64.b64decode(cloud.calls_of("ImportKeyPair")[-1].params["PublicKeyMaterial"])
            assert sent.decode().split()[:2] == public.split()[:2]
        assert {each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]} == {"private", "public"}

    def test_what_is_no_key_is_refused(self, run, cloud, tmp_path):
        (tmp_path / "text").write_text("hello")
        for words in (("-i", tmp_path / "text"), ("-i", tmp_path / "none"), ("-i", tmp_path / "text", "-o", "x")):
            said = run("ck", "mine", *words)
            assert said.status == 2
            assert said.err.count("\n") == 2
        assert not cloud.calls_of("ImportKeyPair")

    def test_removing_asks_and_one_that_is_not_there_is_success(self, run, cloud, ec2):
        run("ck", "mine")
        assert run("removekey", "mine").status == 2  # nobody is there to answer
        said = run("rk", "mine", "other", "--yes")
        assert said.status == 0
        assert said.out == ">>> mine is gone\n>>> there is no key pair other in us-east-1\n"
        assert ec2.describe_key_pairs()["KeyPairs"] == []
        assert run("lk").out == "No key pairs in us-east-1.\n"

    def test_names_are_completed_from_aws_and_nothing_where_it_does_not_answer(self, run, cloud, monkeypatch):
        for name in ("mine", "my-other", "yours"):
            run("ck", name)
        assert completed("removekey", incomplete="m") == ["mine", "my-other"]
        assert completed("removekey", "-r", "eu-west-1", incomplete="m") == []
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://nobody.clusterctl-standin.invalid")
        assert completed("removekey", incomplete="m") == []


class TestVolumes:
    def test_one_is_encrypted_with_the_key_that_is_named(self, run, cloud):
        key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        assert run("createvolume", "5", "us-east-1b", "--kms-key", key).status == 0
        assert [each["KmsKeyId"] for each in cloud.client("ec2").describe_volumes()["Volumes"]] == [key]
        said = run("createvolume", "5", "us-east-1b", "--kms-key", key, "--not-encrypted")
        assert said.status == 2
        assert "give one of them" in said.err

    def test_a_new_one_is_gp3_encrypted_and_said_how_to_have(self, run, cloud, ec2):
        said = run("createvolume", "50", "eu-west-1b", "-n", "data", "-t", "project=x,team=y")
        assert said.status == 0, said.err
        (made,) = cloud.client("ec2", "eu-west-1").describe_volumes()["Volumes"]
        assert (made["Size"], made["VolumeType"], made["Encrypted"]) == (50, "gp3", True)
        assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {
            "Name": "data",
            "project": "x",
            "team": "y",
            "clusterctl:owner": "user/moto",
        }
        assert f"[volume data]\nVOLUME_ID = {made['VolumeId']}\nMOUNT_PATH = /data\nFORMAT = yes\n" in said.out

    def test_type_iops_and_encryption_are_said_where_others_are_wanted(self, run, cloud, ec2):
        said = run("cv", "100", "us-east-1a", "--type", "io2", "--iops", "1000", "--not-encrypted", "--json")
        (made,) = ec2.describe_volumes()["Volumes"]
        assert said.json == {"id": made["VolumeId"], "size_gb": 100, "zone": "us-east-1a"}
        assert (made["VolumeType"], made["Iops"], made["Encrypted"]) == ("io2", 1000, False)

    def test_an_answer_that_is_lost_makes_no_second_one(self, run, cloud, ec2):
        cloud.faults.add(LostAnswer("CreateVolume"))
        assert run("cv", "8", "us-east-1a").status == 0
        assert len(cloud.calls_of("CreateVolume")) == 2
        assert len(ec2.describe_volumes()["Volumes"]) == 1

    @pytest.mark.parametrize("words", [("0", "us-east-1a"), ("8", "us-east-1a", "-t", "clusterctl:uuid=x")])
    def test_what_cannot_be_is_refused_before_aws_is_asked(self, run, cloud, words):
        assert run("cv", *words).status == 2
        assert cloud.calls == []

    def test_a_zone_that_is_not_there_says_where_to_look(self, run, cloud):
        text = "The zone 'us-east-1z' does not exist."
        cloud.faults.add(Fails("CreateVolume", code="InvalidZone.NotFound", message=text))
        said = run("cv", "8", "us-east-1z")
        assert said.status == 2
        assert "clusterctl listzones" in said.err

    def test_listing_takes_the_filters_of_starcluster(self, run, cloud, ec2):
        run("cv", "8", "us-east-1a", "-n", "small", "-t", "project=x")
        run("cv", "9", "us-east-1b", "-n", "large", "-t", "project=y")
        root = ec2.describe_instances(InstanceIds=[launch(cloud)])["Reservations"][0]["Instances"][0]
        held = root["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

        def names(*words):
            said = run("listvolumes", "--json", *words)
            assert said.status == 0, said.err
            return {each["name"] or each["id"] for each in said.json}

        assert names() == {"small", "large", held}
        assert names("-n", "small") == names("-s", "8", "-z", "us-east-1a", "-S", "available") == {"small"}
        assert names("-t", "project=y") == names("-t", "project", "-z", "us-east-1b") == {"large"}
        assert names("-a", "attached") == names("-S", "in-use") == names("-v", held) == {held}
        assert names("-i", "snap-0") == set()
        assert names("-d") == {"small", "large", held}
        line = next(line for line in run("lv").out.splitlines() if line.startswith(held))
        assert root["InstanceId"] in line

    def test_one_grows_and_what_to_do_then_is_said(self, run, cloud, ec2):
        volume = run("cv", "8", "us-east-1a", "--json").json["id"]
        said = run("resizevolume", volume, "20")
        assert said.status == 0, said.err
        assert f">>> {volume} has 20 GB (8 before)\n" in said.out
        assert "its file system grows when a cluster mounts it next;" in said.out
        assert ec2.describe_volumes()["Volumes"][0]["Size"] == 20

    def test_one_in_use_grows_and_its_file_system_can_now(self, run, cloud, ec2):
        launch(cloud)
        volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
        assert "clusterctl runplugin volumes NAME" in run("res", volume, "20").out

    @pytest.mark.parametrize(("size", "message"), [("4", "a volume cannot shrink"), ("8", "has 8 GB already")])
    def test_one_never_shrinks(self, run, cloud, size, message):
        volume = run("cv", "8", "us-east-1a", "--json").json["id"]
        said = run("res", volume, size)
        assert said.status == 2
        assert message in said.err
        assert not cloud.calls_of("ModifyVolume")

    def test_one_that_has_just_grown_has_to_wait(self, run, cloud):
        volume = run("cv", "8", "us-east-1a", "--json").json["id"]
        text = "You've reached the maximum modification rate per volume limit."
        cloud.faults.add(Fails("ModifyVolume", code="VolumeModificationRateExceeded", message=text))
        said = run("res", volume, "9")
        assert said.status == 1
        assert "AWS limits how often a volume is modified" in said.err

    def test_one_that_is_not_there_cannot_grow(self, run, cloud):
        said = run("res", "vol-0123456789abcdef0", "9")
        assert said.status == 2
        assert "there is no volume vol-0123456789abcdef0 in us-east-1" in said.err

    def test_removing_asks_names_what_goes_and_one_that_is_not_there_is_success(self, run, cloud, ec2):
        volume = run("cv", "8", "us-east-1a", "-n", "data", "--json").json["id"]
        asked = run("rv", volume)
        assert asked.status == 2
        assert f"Delete {volume} (8 GB, data) of us-east-1, and all that is on it?" in asked.err
        said = run("removevolume", volume, "vol-0123456789abcdef0", "-c")
        assert said.out == f">>> {volume} is gone\n>>> there is no volume vol-0123456789abcdef0 in us-east-1\n"
        assert ec2.describe_volumes()["Volumes"] == []

    def test_an_attached_one_is_refused_and_then_none_is_deleted(self, run, cloud, ec2):
        instance = launch(cloud)
        (held,) = [each["VolumeId"] for each in ec2.describe_volumes()["Volumes"]]
        free = run("cv", "8", "us-east-1a", "--json").json["id"]
        said = run("rv", free, held, "--yes")
        assert said.status == 2
        assert f"{held} is attached to {instance}" in said.err
        assert len(ec2.describe_volumes()["Volumes"]) == 2

    def test_ids_are_completed_from_aws(self, run, cloud):
        volume = run("cv", "8", "us-east-1a", "--json").json["id"]
        assert completed("removevolume", incomplete="vol-") == [volume]


def test_credentials_that_are_not_there_are_two_lines(run, monkeypatch, tmp_path, allow_loopback):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = run("lsi")
    assert said.status == 1
    assert "there are no AWS credentials that work" in said.err
    assert "aws configure" in said.err


def test_json_is_valid_where_tags_are_odd(run, cloud):
    launch(cloud, Name='quote " and ünï')
    assert json.loads(run("lsi", "--json").out)[0]["name"] == 'quote " and ünï'
