"""An image that is baked on an instance: `start` makes instances of it, and installs nothing on them."""

from __future__ import annotations

import re

import pytest

from .test_images import CONTENTS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

CONFIG = f"""
[cluster lab]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large
{CONTENTS}
"""


@pytest.fixture(scope="module")
def laptop(bodies, laptop_class, tmp_path_factory):
    more = {"CLUSTERCTL_ADDRESS": "private", "CLUSTERCTL_SHARED_HOME": "yes"}
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home", {**bodies.cloud.environment(), **more})
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    yield laptop
    laptop.run("terminate", "--yes", "lab", "bake-tools", status=None, timeout=300)


@pytest.fixture(scope="module")
def image(laptop):
    """The id of an image that has just been baked."""
    return laptop.json("image", "bake", "tools", "--yes", "--json", timeout=400)["image"]


@pytest.fixture(scope="module")
def started(laptop, image):
    """What `start` said."""
    done = laptop.run("start", "--yes", "lab", timeout=400)
    return done.stdout + done.stderr


def snapshots(ec2) -> set[str]:
    """Those of the account: moto says that the images of others have theirs there."""
    return {each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def test_the_builder_is_gone_and_a_second_bake_finds_all_of_it_there(bodies, laptop, image):
    assert bodies.cloud.left() == []
    again = laptop.json("image", "bake", "tools", "--yes", "--json")
    assert (again["image"], again["new"]) == (image, False)
    assert [found["name"] for found in laptop.json("image", "list", "--json")] == [image]


def test_start_makes_instances_of_it_and_installs_nothing(bodies, laptop, image, started):
    assert f"Using the baked image {image}" in started
    assert {machine.image for machine in bodies.cloud.machines() if machine.runs} == {image}
    for alias in ("master", "node001"):
        log = (laptop.folder("lab") / "logs" / f"{alias}.log").read_text()
        assert not re.search(r"Setting up less|changed: environment", log)
    use = "/opt/clusterctl/env/bin/python -c 'import msgpack; print(msgpack.packb(1))' && less --version | head -n 1"
    said = laptop.run("exec", "lab", use).stdout
    assert said.count(r"b'\x01'") == said.count("less 590") == 2


def test_each_instance_has_an_identity_of_its_own(laptop, started):
    said = laptop.run("exec", "lab", "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id").stdout
    assert len(set(re.findall(r"ssh-ed25519 (\S+)", said))) == 2
    assert len(set(re.findall(r"\b[0-9a-f]{32}\b", said))) == 2


def test_it_outlives_the_cluster_and_is_gone_with_its_snapshot_when_it_is_removed(bodies, laptop, image, started):
    laptop.run("terminate", "--yes", "lab", timeout=300)
    ec2 = bodies.cloud.client("ec2")
    (found,) = ec2.describe_images(Owners=["self"])["Images"]
    assert found["ImageId"] == image
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert snapshot in snapshots(ec2)
    laptop.run("image", "remove", "--yes", image)
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    assert snapshot not in snapshots(ec2)
    assert bodies.cloud.left() == []
