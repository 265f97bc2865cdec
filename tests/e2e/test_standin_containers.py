"""Instances with bodies: user data that takes effect, an address that answers, a disk that stays, and the end."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from clusterctl_standin.bodies.subnet import METADATA
from clusterctl_standin.bodies.waiting import until

from clusterctl.identity.keys import ensure_key_pair, new_key_pair

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

IMAGE = "/aws/service/debian/release/12/latest/amd64"
USER_DATA = """#cloud-config
ssh_keys:
  ed25519_private: |
{private}
  ed25519_public: {public}
users:
  - name: me
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: ['{login}']
bootcmd:
  - echo boot >> /var/log/boots
  - ip rule add to {metadata}/32 uidrange 1-4294967294 prohibit
runcmd:
  - echo first >> /var/log/firsts
"""


@dataclass(frozen=True)
class Launched:
    """An instance, and what it takes to log in to it."""

    id: str
    address: str
    folder: Path

    def ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there, as the user of the user data; only the host key of the user data is taken."""
        options = ["-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
        options += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-i", str(self.folder / "login")]
        return subprocess.run(
            ["ssh", *options, f"me@{self.address}", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def says(self, command: str) -> str:
        """What a command prints, as soon as the instance lets somebody in who runs it."""

        def said() -> subprocess.CompletedProcess[str] | None:
            done = self.ssh(command)
            assert "IDENTIFICATION HAS CHANGED" not in done.stderr, done.stderr
            return None if done.returncode else done

        return until(said, f"{self.address} runs {command}", deadline_s=180).stdout.strip()


def launch(bodies, folder, **more) -> Launched:
    """An instance whose user data brings its host key and a login."""
    private, public = new_key_pair("host")
    indented = "\n".join(f"    {line}" for line in private.reveal().splitlines())
    login = ensure_key_pair(folder / "login")
    text = USER_DATA.format(private=indented, public=public, login=login, metadata=METADATA)
    image = bodies.cloud.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
    more = {"InstanceType": "c7i.large", **more}
    asked = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "UserData": text, **more}
    (instance,) = bodies.cloud.client("ec2").run_instances(**asked)["Instances"]
    (folder / "known_hosts").write_text(f"{instance['PrivateIpAddress']} {public}\n")
    bodies.settle()
    return Launched(instance["InstanceId"], instance["PrivateIpAddress"], folder)


def folder_in(parent, name):
    (parent / name).mkdir()
    return parent / name


@pytest.fixture(scope="module")
def launched(bodies, tmp_path_factory):
    return launch(bodies, tmp_path_factory.mktemp("instance"))


def test_an_instance_answers_at_its_own_address_with_the_host_key_and_the_login_of_its_user_data(launched):
    assert launched.says("sudo -n id -un") == "root"
    assert launched.says("hostname") == f"ip-{launched.address.replace('.', '-')}"


def test_systemd_is_up_and_sees_as_many_cores_as_it_shall(bodies, launched):
    launched.says("sudo cloud-init status --wait")
    assert launched.says("systemctl is-system-running --wait") == "running"
    assert launched.says("nproc") == "1"
    assert "Welcome to" in bodies.console(launched.id)


def test_a_reboot_keeps_the_disk_and_the_host_key_and_runs_only_what_belongs_to_every_boot(bodies, launched):
    boot = launched.says("touch kept; cat /proc/sys/kernel/random/boot_id")
    bodies.reboot(launched.id)
    assert launched.says("test -e kept && cat /proc/sys/kernel/random/boot_id") != boot
    assert launched.says("sudo cloud-init status --wait >/dev/null; cat /var/log/boots /var/log/firsts").split() == [
        *("boot", "boot", "first"),
    ]


def test_stop_and_start_keep_the_disk(bodies, launched):
    ec2 = bodies.cloud.client("ec2")
    launched.says("echo stays > kept")
    ec2.stop_instances(InstanceIds=[launched.id])
    assert bodies.container_of(launched.id).status == "exited"
    assert launched.ssh("true").returncode != 0
    ec2.start_instances(InstanceIds=[launched.id])
    assert launched.says("cat kept") == "stays"


def test_a_reboot_that_is_asked_of_the_cloud_boots_the_body(bodies, launched):
    boot = launched.says("cat /proc/sys/kernel/random/boot_id")
    bodies.cloud.client("ec2").reboot_instances(InstanceIds=[launched.id])
    bodies.settle()
    assert launched.says("cat /proc/sys/kernel/random/boot_id") != boot


def test_the_console_is_what_the_cloud_shows_of_it(bodies, launched):
    said = bodies.cloud.client("ec2").get_console_output(InstanceId=launched.id)["Output"]
    assert "Welcome to" in said
    assert "Debian GNU/Linux 12" in said


def test_the_key_pair_of_an_instance_lets_its_image_s_user_in(bodies, tmp_path):
    ec2 = bodies.cloud.client("ec2")
    ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=ensure_key_pair(tmp_path / "mine").encode())
    machine = launch(bodies, tmp_path, KeyName="mine", UserData="#cloud-config\n{}")
    bodies.shell(machine.id, "cloud-init status --wait")
    public = (tmp_path / "mine.pub").read_text().split()[1]
    assert public in bodies.shell(machine.id, "cat /home/admin/.ssh/authorized_keys")


def test_power_that_fails_is_nothing_the_cloud_knows(bodies, launched):
    bodies.kill(launched.id)
    assert bodies.container_of(launched.id).status == "exited"
    (found,) = bodies.cloud.client("ec2").describe_instances(InstanceIds=[launched.id])["Reservations"]
    assert found["Instances"][0]["State"]["Name"] == "running"


def test_terminate_removes_the_body(bodies, launched):
    bodies.cloud.client("ec2").terminate_instances(InstanceIds=[launched.id])
    with pytest.raises(AssertionError, match="has no container"):
        bodies.container_of(launched.id)


def state_of(bodies, instance_id) -> str:
    (found,) = bodies.cloud.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    return found["Instances"][0]["State"]["Name"]


@pytest.mark.parametrize(("asked", "end"), [("stop", "stopped"), ("terminate", "terminated")])
def test_an_instance_that_shuts_itself_down_ends_as_was_asked_for(bodies, tmp_path, asked, end):
    machine = launch(bodies, tmp_path, InstanceInitiatedShutdownBehavior=asked)
    machine.says("true")
    bodies.shell(machine.id, "systemctl --no-block poweroff")
    until(lambda: state_of(bodies, machine.id) == end, f"the cloud says that {machine.id} is {end}")


def test_members_of_one_cluster_share_their_homes_and_strangers_do_not(bodies, tmp_path):
    def member(name: str, cluster: str) -> Launched:
        tags = [{"Key": "clusterctl:cluster", "Value": cluster}]
        return launch(bodies, folder_in(tmp_path, name), TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])

    one, two, stranger = member("one", "a"), member("two", "a"), member("stranger", "b")
    one.says("echo shared > ~/note")
    assert two.says("cat /home/me/note") == "shared"
    assert stranger.ssh("cat /home/me/note").returncode != 0
    assert one.says("getent hosts deb.debian.org >/dev/null && echo yes") == "yes"


def test_a_data_volume_shows_up_under_its_id_survives_a_reboot_and_goes_on_to_the_next_instance(bodies, tmp_path):
    ec2 = bodies.cloud.client("ec2")
    first, second = (launch(bodies, folder_in(tmp_path, name)) for name in ("first", "second"))
    zone = ec2.describe_instances(InstanceIds=[first.id])["Reservations"][0]["Instances"][0]["Placement"]
    volume = ec2.create_volume(AvailabilityZone=zone["AvailabilityZone"], Size=1)["VolumeId"]
    disk = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"

    ec2.attach_volume(VolumeId=volume, InstanceId=first.id, Device="/dev/sdf")
    assert bodies.shell(first.id, f"blockdev --getsize64 {disk}") == str(1 << 30)
    bodies.shell(first.id, f"mkfs.ext4 -q {disk} && mkdir /data && mount {disk} /data && echo kept > /data/note")
    line = f'echo "UUID=$(blkid -o value -s UUID {disk}) /data ext4 defaults,nofail 0 2" >> /etc/fstab'
    bodies.shell(first.id, line)
    bodies.reboot(first.id)
    assert first.says("findmnt -n -o TARGET --source $(readlink -f " + disk + ") && cat /data/note") == "/data\nkept"

    ec2.terminate_instances(InstanceIds=[first.id])
    bodies.settle()
    ec2.attach_volume(VolumeId=volume, InstanceId=second.id, Device="/dev/sdf")
    assert bodies.shell(second.id, f"mount {disk} /mnt && cat /mnt/note") == "kept"
    bodies.shell(second.id, "umount /mnt")
    ec2.detach_volume(VolumeId=volume, InstanceId=second.id)
    assert bodies.shell(second.id, f"test -e {disk} || echo gone") == "gone"
