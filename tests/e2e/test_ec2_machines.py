"""The story on instances that are virtual machines: what a container only borrows is shown on a kernel of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from clusterctl.providers.ec2 import tags

from .baking import PLUGINS, USER
from .metadata import ask_for_token

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

CONFIG = f"""
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large
CLUSTER_USER = {USER}
SPOT_BID = 0.10
PLUGINS = ippackages, ipcluster
VOLUMES = data
START_TIMEOUT = 1500
{PLUGINS}
[volume data]
VOLUME_ID = {{volume}}
FORMAT = yes
MOUNT_PATH = /data
"""
AFTER_BOOT_S = 600.0


@dataclass(frozen=True)
class Story:
    """The cluster, its machines, and what its start said."""

    laptop: object
    machines: object
    volume: str
    started: str

    def nodes(self) -> dict[str, dict]:
        (found,) = self.laptop.json("list", "--json", "lab")
        return {node["alias"]: node for node in found["nodes"]}

    def instance(self, alias: str) -> dict:
        """A node as the cloud has it."""
        filters = [
            {"Name": "private-ip-address", "Values": [self.nodes()[alias]["address"]]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        (found,) = self.machines.cloud.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return found["Instances"][0]

    def on(self, alias: str, command: str, *, user: str = "") -> str:
        """What a command prints on a node, by SSH."""
        as_user = ("-u", user) if user else ()
        return self.laptop.run("sshnode", *as_user, "lab", alias, command, timeout=300).stdout.strip()

    def python(self, code: str) -> object:
        """Code in a plain Python on the laptop, with `client` connected; what `answer` then is."""
        file = self.laptop.folder("lab") / "client.json"
        connect = f"import json, ipyparallel\nclient = ipyparallel.Client({str(file)!r}, timeout=120)\n"
        return json.loads(self.laptop.python(f"{connect}{code}\nprint(json.dumps(answer))\n", timeout=300))

    def is_whole(self) -> bool:
        """Whether each node has its engine, under its id."""
        if {alias: node["engines"] for alias, node in self.nodes().items()} != {"master": 1, "node001": 1}:
            return False
        return self.python("answer = client.ids") == [0, 1]


@pytest.fixture(scope="module")
def machines(vm_image, tmp_path_factory):
    """A cloud whose instances are virtual machines."""
    from ..standin.bodies.virtual import VirtualMachines
    from ..standin.cloud import Cloud

    with Cloud() as cloud, VirtualMachines(cloud, image=vm_image, folder=tmp_path_factory.mktemp("vms")) as made:
        yield made


@pytest.fixture(scope="module")
def story(machines, laptop_class, tmp_path_factory):
    """`clusterctl start -s 2 lab`, as its user types it, with a data volume."""
    cloud = machines.cloud
    volume = cloud.client("ec2").create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3")["VolumeId"]
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.more.update({**cloud.environment(), "CLUSTERCTL_ADDRESS": "private"})
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(volume=volume))
    try:
        started = laptop.run("start", "-s", "2", "--yes", "lab", timeout=1800)
        yield Story(laptop, machines, volume, started.stdout + started.stderr)
    finally:
        laptop.run("terminate", "--yes", "lab", status=None, timeout=900)
    cloud.client("ec2").delete_volume(VolumeId=volume)
    assert cloud.left() == []


def test_start_ends_with_an_engine_on_each_machine(story):
    assert f"lab is up: 2 engines on 2 nodes for {USER}" in story.started
    assert story.is_whole()
    assert [node["market"] for node in story.nodes().values()] == ["on-demand", "spot"]


def test_user_data_was_read_by_cloud_init_and_its_host_keys_were_replaced(story):
    assert "DataSourceNoCloud" in story.on("node001", "cat /run/cloud-init/result.json")
    known = {line.split()[-1] for line in (story.laptop.folder("lab") / "known_hosts").read_text().splitlines()}
    born = {tags.tags_of(story.instance(alias))[tags.HOST_KEY].split()[1] for alias in story.nodes()}
    assert (len(known), len(born)) == (2, 1)  # all are born with one, and make their own
    assert not known & born


def test_home_is_shared_by_nfs(story):
    code = (
        "def write():\n    from pathlib import Path\n    import os\n"
        "    Path.home().joinpath('from-node001').write_text(os.environ['CLUSTERCTL_NODE'])\n"
        "client[client.ids[1]].apply_sync(write)\nanswer = None"
    )
    story.python(code)
    assert story.on("master", "cat from-node001", user=USER) == "node001"
    assert story.on("node001", "stat -f -c %T .", user=USER) == "nfs"


def test_a_volume_is_found_under_its_id_and_shared(story):
    disk = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{story.volume.replace('-', '')}"
    assert story.on("master", f"findmnt -n -o TARGET --source $(readlink -f {disk})") == "/data"
    story.on("node001", "echo kept > /data/note", user=USER)
    assert story.on("master", "cat /data/note", user=USER) == "kept"


def test_only_root_may_ask_the_metadata_service(story):
    ask = ask_for_token(timeout_s=20)
    assert story.on("node001", f"sudo {ask}") == "True"
    assert story.on("node001", f"{ask} || echo refused", user=USER) == "refused"


def test_a_reboot_by_the_cloud_brings_everything_back_by_itself(story, poll):
    before = story.on("master", "cat /proc/sys/kernel/random/boot_id")
    master = story.instance("master")["InstanceId"]
    story.machines.cloud.client("ec2").reboot_instances(InstanceIds=[master])
    story.machines.settle()
    poll(story.is_whole, "all engines are back", deadline_s=AFTER_BOOT_S, every_s=3)
    assert story.on("master", "cat /proc/sys/kernel/random/boot_id") != before
    assert story.on("node001", "cat from-node001 /data/note", user=USER) == "node001kept"


def test_a_notice_lets_the_engine_go_before_its_machine_is_taken(story, poll):
    doomed = story.instance("node001")["InstanceId"]
    story.machines.cloud.interrupt(doomed, notice_s=900)
    poll(lambda: story.nodes()["node001"]["engines"] == 0, "the engine went", deadline_s=300, every_s=3)
    story.machines.cloud.take_back(doomed)
    poll(lambda: "node001" not in story.nodes(), "node001 was taken", deadline_s=120, every_s=2)
    assert story.on("master", "cat from-node001", user=USER) == "node001"


def test_terminate_leaves_nothing_but_the_volume(story):
    story.laptop.run("terminate", "--yes", "lab", timeout=900)
    story.machines.settle()
    ec2 = story.machines.cloud.client("ec2")
    (volume,) = ec2.describe_volumes()["Volumes"]
    assert (volume["VolumeId"], volume["State"]) == (story.volume, "available")
    assert {machine.state for machine in story.machines.cloud.machines()} == {"terminated"}
