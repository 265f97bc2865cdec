"""The story on three virtual machines: real systemd, real NFS, real cloud-init, by the `static` provider."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

import pytest

from clusterctl.keys import ensure_key_pair

from . import vms
from .baking import PLUGINS, USER

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

CONFIG = """
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
PROVIDER = static
HOSTS = vm0, vm1, vm2
CLUSTER_USER = {user}
CLUSTER_SHELL = {shell}
PLUGINS = ippackages, ipcluster
VOLUMES = data
START_TIMEOUT = 1500

{plugins}
[volume data]
DEVICE = /dev/vdc
FORMAT = yes
MOUNT_PATH = /data
"""
HOST = """
[host {name}]
ADDRESS = {address}
USER = admin
KEY_LOCATION = {key}
HOST_KEY = {host_key}
"""
AFTER_REBOOT_S = 420.0


@pytest.fixture(scope="module")
def virtual_lab(vm_image, tmp_path_factory):
    """Three machines that answer, as a cloud would give them."""
    folder = tmp_path_factory.mktemp("vms")
    with vms.Lab(folder, vm_image, ensure_key_pair(folder / "admin_key")) as lab:
        lab.start(3, blank_disk_gb=1)
        yield lab


@pytest.fixture(scope="module")
def admin(virtual_lab):
    """Runs a command as root on a machine, by its number, and returns what it prints; not through clusterctl."""
    folder = virtual_lab.machines[0].folder.parent
    known = folder / "known_hosts"
    known.write_text("".join(f"{machine.address} {machine.host_key}\n" for machine in virtual_lab.machines))
    options = ["-i", str(folder / "admin_key"), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]

    def run(number: int, command: str, *, check: bool = True) -> str:
        address = virtual_lab.machines[number].address
        done = subprocess.run(
            ["ssh", *options, f"admin@{address}", f"sudo -n sh -c {shlex.quote(command)}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"vm{number}: {command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    return run


@dataclass(frozen=True)
class Story:
    """The cluster on the machines, and what they were before."""

    laptop: object
    started: str
    before: tuple[str, ...]


@pytest.fixture(scope="module")
def story(virtual_lab, admin, laptop_class, tmp_path_factory):
    """`clusterctl start lab`, as its user types it."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    key = virtual_lab.machines[0].folder.parent / "admin_key"
    hosts = [HOST.format(name=m.name, address=m.address, key=key, host_key=m.host_key) for m in virtual_lab.machines]
    (laptop.home / "config").write_text(CONFIG.format(user=USER, shell="tcsh", plugins=PLUGINS) + "".join(hosts))
    # What cloud-init still changes after it has let us in is not ours.
    before = tuple(admin(number, f"cloud-init status --wait >/dev/null; {STATE}") for number in range(3))
    try:
        started = laptop.run("start", "lab", timeout=1800)
        yield Story(laptop, started.stdout + started.stderr, before)
    finally:
        laptop.run("terminate", "--yes", "lab", status=None, timeout=600)


STATE = """
find /etc -type f ! -name '*.lock' ! -name ld.so.cache ! -path '/etc/cloud/*' ! -name '*-' -exec sha256sum {} +
getent passwd
findmnt --list --noheadings --output TARGET,FSTYPE --types ext4,xfs,nfs4,autofs | grep -v binfmt_misc | sort
ls -d /opt/* /var/lib/clusterctl /var/cache/clusterctl /var/log/clusterctl /run/clusterctl 2>/dev/null
systemctl is-enabled nfs-server || true
"""
"""What of a machine `terminate` shall leave as it was: its settings, users, mounts and our folders."""


def engines(story: Story) -> dict[str, int | None]:
    (found,) = story.laptop.json("list", "--json", "lab")
    return {node["alias"]: node["engines"] for node in found["nodes"]}


def python(story: Story, code: str) -> object:
    """Code in a plain Python on the laptop, with `client` connected; what `answer` then is."""
    file = story.laptop.folder("lab") / "client.json"
    whole = (
        f"import json, os, ipyparallel\nclient = ipyparallel.Client({str(file)!r}, timeout=120)\n"
        f"{code}\nprint(json.dumps(answer))\n"
    )
    return json.loads(story.laptop.python(whole, timeout=300))


def everywhere(virtual_lab, admin, command):
    return [admin(number, command) for number in range(len(virtual_lab.machines))]


def as_user(admin, number, command):
    """What a command prints that the cluster user runs at home: root of a worker has no rights there."""
    return admin(number, f"runuser -u {USER} -- sh -c {shlex.quote(f'cd /home/{USER} && {command}')}")


def test_start_ends_with_an_engine_on_each_machine(story):
    assert "lab is up: 3 engines on 3 nodes for iptest" in story.started
    assert engines(story) == {"master": 1, "node001": 1, "node002": 1}


def test_cloud_init_has_made_the_login_and_the_host_keys_were_known(virtual_lab, admin):
    results = everywhere(virtual_lab, admin, "cat /run/cloud-init/result.json")
    assert all("DataSourceNoCloud" in result for result in results)


def test_the_user_has_the_same_uid_and_shell_everywhere(story, virtual_lab, admin):
    (line,) = set(everywhere(virtual_lab, admin, f"getent passwd {USER} | cut -d: -f1,3,4,6,7"))
    assert line.startswith(f"{USER}:")
    assert line.endswith("tcsh")


def test_a_file_that_an_engine_on_node002_writes_is_read_on_the_master_with_the_users_uid(story, admin):
    python(
        story,
        "def write():\n    from pathlib import Path\n    import os\n"
        "    Path.home().joinpath('from-node002').write_text(os.environ['CLUSTERCTL_NODE'])\n"
        "client[client.ids[2]].apply_sync(write)\nanswer = None",
    )
    assert as_user(admin, 0, "cat from-node002") == "node002"
    assert as_user(admin, 0, "stat -c %U from-node002") == USER
    assert as_user(admin, 2, "stat -c %U from-node002") == USER
    assert admin(2, f"stat -f -c %T /home/{USER}") == "nfs"


def test_a_data_volume_is_formatted_mounted_and_shared(story, admin):
    assert admin(0, "findmnt --noheadings --output SOURCE,FSTYPE /data").split() == ["/dev/vdc", "ext4"]
    assert admin(1, "stat -f -c %T /data") == "nfs"
    as_user(admin, 1, "echo shared > /data/probe")
    assert admin(2, "cat /data/probe") == "shared"


def test_only_members_may_mount_and_only_by_version_4(story, admin):
    exports = admin(0, "exportfs -v | tr -d '\\n\\t' ")
    assert "10.79.0.11" in exports
    assert "10.79.0.12" in exports
    assert "*" not in exports
    assert "no_root_squash" not in exports
    assert "-3" in admin(0, "cat /proc/fs/nfsd/versions").split()
    assert int(admin(0, "cat /proc/fs/nfsd/threads")) >= 16


def test_the_user_gets_from_any_member_to_any_other_without_a_question(story):
    for source, goal in (("master", "node002"), ("node001", "master"), ("node002", "node001")):
        command = f"ssh -o BatchMode=yes {goal} printenv USER"
        said = story.laptop.run("sshnode", "-u", USER, "lab", source, command).stdout
        assert said.strip() == USER


def test_packages_are_the_same_everywhere_and_work(story):
    answer = python(
        story,
        "def versions():\n    import msgpack, sys\n"
        "    return [msgpack.unpackb(msgpack.packb(7)), sys.version_info[:2]]\n"
        "answer = client[:].apply_sync(versions)",
    )
    assert answer == [[7, list(sys.version_info[:2])]] * 3


def test_services_have_their_limits_and_logs_under_systemd(story, admin):
    limits = python(
        story,
        "def limit():\n    import resource\n    return resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "answer = client[:].apply_sync(limit)",
    )
    assert limits == [[65536, 65536]] * 3
    assert admin(1, "systemctl is-enabled clusterctl-engine@1.service") == "enabled"
    assert "engine-1.log" in story.laptop.run("logs", "lab", "node001").stdout
    assert admin(0, "systemd-analyze verify clusterctl-engine@0.service 2>&1", check=False) == ""


def test_the_notebook_answers_on_the_laptop(story, poll):
    url = story.laptop.run("notebook", "lab").stdout.strip()

    def answers():
        try:
            with urllib.request.urlopen(url, timeout=60) as page:
                return page.status == 200
        except OSError:
            return False

    poll(answers, "JupyterLab answers", deadline_s=300, every_s=2)


def test_start_again_changes_nothing(story, virtual_lab, admin):
    before = everywhere(virtual_lab, admin, "systemctl show --property=ExecMainPID 'clusterctl-*'")
    again = story.laptop.run("start", "lab", timeout=300)
    assert "lab was already running: 3 engines on 3 nodes" in again.stdout + again.stderr
    assert everywhere(virtual_lab, admin, "systemctl show --property=ExecMainPID 'clusterctl-*'") == before


def test_an_engine_that_is_killed_comes_back_with_its_id(story, admin, poll):
    before = admin(1, "systemctl show --property=ExecMainPID --value clusterctl-engine@1")
    admin(1, "systemctl kill --signal=KILL clusterctl-engine@1")
    poll(
        lambda: admin(1, "systemctl show --property=ExecMainPID --value clusterctl-engine@1") not in ("0", before),
        "systemd has started another one",
        deadline_s=120,
        every_s=1,
    )
    poll(lambda: is_whole(story), "the engine is registered", deadline_s=300, every_s=2)


def is_whole(story: Story) -> bool:
    """Whether the controller has exactly the engines that belong to the nodes, under their ids."""
    if engines(story) != {"master": 1, "node001": 1, "node002": 1}:
        return False
    return python(story, "answer = client.ids") == [0, 1, 2]


def reboot(number, virtual_lab, admin, poll):
    def boot_id():
        return admin(number, "cat /proc/sys/kernel/random/boot_id", check=False)

    before = boot_id()
    admin(number, "systemctl reboot", check=False)

    def is_back():
        try:
            return boot_id() not in ("", before)
        except subprocess.TimeoutExpired:
            return False

    poll(is_back, f"vm{number} is back", deadline_s=AFTER_REBOOT_S, every_s=2)


def test_after_a_workers_reboot_its_engine_and_home_are_back_by_themselves(story, virtual_lab, admin, poll):
    reboot(2, virtual_lab, admin, poll)
    poll(lambda: is_whole(story), "all engines are back", deadline_s=AFTER_REBOOT_S, every_s=3)
    assert as_user(admin, 2, "cat from-node002") == "node002"
    assert admin(2, "cat /data/probe") == "shared"


def test_after_the_masters_reboot_everything_is_back_by_itself(story, virtual_lab, admin, poll):
    reboot(0, virtual_lab, admin, poll)
    poll(lambda: is_whole(story), "all engines are back", deadline_s=AFTER_REBOOT_S, every_s=3)
    assert as_user(admin, 1, "cat from-node002") == "node002"
    assert admin(2, "cat /data/probe") == "shared"
    squares = python(story, "answer = client[:].map_sync(lambda x: x * x, range(6))")
    assert squares == [0, 1, 4, 9, 16, 25]


def test_runplugin_restarts_the_engines(story):
    said = story.laptop.run("runplugin", "ipclusterrestart", "lab", timeout=600)
    assert "Restarting 3 engines on 3 nodes" in said.stdout + said.stderr
    assert is_whole(story)


def test_terminate_leaves_the_machines_on_and_as_they_were(story, virtual_lab, admin):
    story.laptop.run("terminate", "--yes", "lab", timeout=600)
    after = everywhere(virtual_lab, admin, STATE)
    for was, now in zip(story.before, after, strict=True):
        assert set(now.splitlines()) - set(was.splitlines()) == set()
        # The image had its environment from us before there was a cluster.
        assert set(was.splitlines()) - set(now.splitlines()) <= {"/opt/clusterctl", "/var/cache/clusterctl"}
    assert all(machine.process.poll() is None for machine in virtual_lab.machines)
    # Data that outlives clusters is still there, and its disk was not formatted again.
    assert admin(0, "mount /dev/vdc /mnt && cat /mnt/probe && umount /mnt") == "shared"
