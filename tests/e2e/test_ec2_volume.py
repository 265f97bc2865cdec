"""A cluster of EC2 with a data volume and its home on another one, on an instance that has a body.

What is there after a boot, on the next master once the first is lost, and after the end. It is a master alone: where
workers share the volume by NFS, a kernel shows it, in tests/e2e/test_virtual_machines.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clusterctl.providers.ec2 import tags

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

USER = "iptest"
CONFIG = f"""
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large
CLUSTER_USER = {USER}
PLUGINS = ipcluster
VOLUMES = data
HOME_VOLUME = yes
HOME_VOLUME_GB = 1
USERDATA_SCRIPTS = {{script}}

[plugin ipcluster]
ENGINES_PER_NODE = 1

[volume data]
VOLUME_ID = {{volume}}
FORMAT = yes
MOUNT_PATH = /data
"""

NO_NFS = """#!/bin/sh
# The kernel of bodies has no NFS. A master alone serves nobody: its server is one by name.
for name in exportfs rpc.nfsd; do
    printf '#!/bin/sh\\n' > /usr/local/sbin/$name
    chmod 755 /usr/local/sbin/$name
done
unit=/etc/systemd/system/nfs-server.service
printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' > $unit
printf '[Install]\\nWantedBy=multi-user.target\\n' >> $unit
"""


@dataclass(frozen=True)
class Story:
    """The cluster, its instances, and what its start said."""

    laptop: object
    bodies: object
    volume: str
    started: str

    def nodes(self) -> dict[str, dict]:
        (found,) = self.laptop.json("list", "--json", "lab")
        return {node["alias"]: node for node in found["nodes"]}

    def instance(self, alias: str) -> dict:
        """A node as the cloud has it."""
        filters = [{"Name": "private-ip-address", "Values": [self.nodes()[alias]["address"]]}]
        (found,) = self.bodies.cloud.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return found["Instances"][0]

    def on(self, alias: str, command: str, *, user: str = "") -> str:
        """What a command prints on a node, by SSH."""
        as_user = ("-u", user) if user else ()
        return self.laptop.run("sshnode", *as_user, "lab", alias, command).stdout.strip()

    def is_whole(self) -> bool:
        """Whether the master has its engine."""
        return {alias: node["engines"] for alias, node in self.nodes().items()} == {"master": 1}


@pytest.fixture(scope="module")
def story(bodies, laptop_class, tmp_path_factory):
    """`clusterctl start -s 1 lab`, as its user types it, with a data volume."""
    cloud = bodies.cloud
    volume = cloud.client("ec2").create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3")["VolumeId"]
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.more.update({**cloud.environment(), "CLUSTERCTL_ADDRESS": "private"})
    laptop.home.mkdir()
    script = laptop.home / "no-nfs.sh"
    script.write_text(NO_NFS)
    (laptop.home / "config").write_text(CONFIG.format(volume=volume, script=script))
    try:
        started = laptop.run("start", "-s", "1", "--yes", "lab", timeout=500)
        yield Story(laptop, bodies, volume, started.stdout + started.stderr)
    finally:
        laptop.run("terminate", "--yes", "lab", status=None, timeout=300)
    cloud.client("ec2").delete_volume(VolumeId=volume)
    assert cloud.left() == []


def test_user_data_was_read_by_cloud_init_and_its_host_key_was_replaced(story):
    assert f"lab is up: 1 engine on 1 node for {USER}" in story.started
    assert "DataSourceNoCloud" in story.on("master", "cat /run/cloud-init/result.json")
    (known,) = {line.split()[-1] for line in (story.laptop.folder("lab") / "known_hosts").read_text().splitlines()}
    assert known != tags.tags_of(story.instance("master"))[tags.HOST_KEY].split()[1]


def test_the_volume_is_found_under_its_id_formatted_and_mounted_for_the_user(story):
    disk = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{story.volume.replace('-', '')}"
    mounted = story.on("master", f"findmnt -n -o TARGET,FSTYPE --source $(readlink -f {disk})")
    assert mounted.split() == ["/data", "ext4"]
    assert story.on("master", "echo kept > /data/note; cat /data/note", user=USER) == "kept"


def test_a_reboot_by_the_cloud_brings_everything_back_by_itself(story, poll):
    before = story.on("master", "cat /proc/sys/kernel/random/boot_id")
    story.bodies.cloud.client("ec2").reboot_instances(InstanceIds=[story.instance("master")["InstanceId"]])
    story.bodies.settle()
    poll(story.is_whole, "all engines are back", deadline_s=150, every_s=1)
    assert story.on("master", "cat /proc/sys/kernel/random/boot_id") != before
    assert story.on("master", "cat /data/note", user=USER) == "kept"


def test_a_master_that_is_taken_is_followed_by_one_with_the_same_home_ports_and_keys(story):
    disk = story.on("master", f"findmnt -n -o SOURCE,FSTYPE --mountpoint /home/{USER}").split()
    assert (len(disk), disk[-1]) == (2, "ext4")
    work = "umask 077; mkdir -p ~/results; seq 100000 > ~/results/numbers; sync"
    sums = "id -u; find ~/results -type f -exec sha256sum {} +"
    story.on("master", work, user=USER)
    before, client = story.on("master", sums, user=USER), (story.laptop.folder("lab") / "client.json").read_bytes()
    taken = story.instance("master")["InstanceId"]
    story.bodies.cloud.client("ec2").terminate_instances(InstanceIds=[taken])
    story.bodies.settle()
    again = story.laptop.run("start", "--yes", "lab", timeout=500)
    assert "The master of lab is gone: another one gets its home, its ports and its keys" in again.stdout + again.stderr
    assert story.instance("master")["InstanceId"] != taken
    assert story.on("master", sums, user=USER) == before
    assert (story.laptop.folder("lab") / "client.json").read_bytes() == client
    assert story.is_whole()


def test_terminate_leaves_nothing_but_the_volume(story):
    story.laptop.run("terminate", "--yes", "lab", timeout=300)
    story.bodies.settle()
    (volume,) = story.bodies.cloud.client("ec2").describe_volumes()["Volumes"]
    assert (volume["VolumeId"], volume["State"]) == (story.volume, "available")
    assert {machine.state for machine in story.bodies.cloud.machines()} == {"terminated"}
