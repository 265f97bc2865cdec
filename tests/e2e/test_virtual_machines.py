"""The story on three virtual machines: real systemd, real NFS, real cloud-init, by the `static` provider.

Then once more on two of them, with homes from a file server that is none of the cluster's: the first machine.
"""

from __future__ import annotations

import sys
import urllib.request

import pytest

from .baking import USER
from .virtual_lab import (
    AFTER_REBOOT_S,
    as_user,
    assert_as_before,
    engines,
    everywhere,
    is_whole,
    python,
    reboot,
    started,
)

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

OPTIONS = """
CLUSTER_SHELL = tcsh
VOLUMES = data

[volume data]
DEVICE = /dev/vdc
FORMAT = yes
MOUNT_PATH = /data
"""
ALL = range(3)
SERVER, MASTER, WORKER = range(3)
"""The numbers of the machines."""
PLACE = "10.79.0.10:/srv/lab"
ELSEWHERE = f"""
[plugin nfs]
SERVER = {PLACE}
PATHS = /shared
"""
SERVE = f"""
mkdir -p /srv/lab/home/{USER} /etc/exports.d
echo kept > /srv/lab/home/{USER}/work
chown -R 4711:4711 /srv/lab/home/{USER}
chmod 700 /srv/lab/home/{USER}
echo '/srv/lab 10.79.0.0/24(rw,no_subtree_check,no_root_squash)' > /etc/exports.d/lab.exports
systemctl start nfs-server
exportfs -ra
"""


@pytest.fixture(scope="module")
def story(virtual_lab, admin, laptop_class, tmp_path_factory):
    """The cluster on all three."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(virtual_lab, admin, laptop, ALL, OPTIONS) as made:
        yield made


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
    assert_as_before(story, admin, ALL)
    assert all(machine.process.poll() is None for machine in virtual_lab.machines)
    # Data that outlives clusters is still there, and its disk was not formatted again.
    assert admin(0, "mount /dev/vdc /mnt && cat /mnt/probe && umount /mnt") == "shared"


@pytest.fixture(scope="module")
def elsewhere(virtual_lab, admin, laptop_class, tmp_path_factory):
    """Another cluster, once the first is gone, for a user whose home is on a server that is none of the nodes."""
    admin(SERVER, SERVE)
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(virtual_lab, admin, laptop, (MASTER, WORKER), ELSEWHERE) as made:
        yield made


def test_the_owner_of_the_home_that_was_there_is_the_user_everywhere(elsewhere, admin):
    assert f"lab is up: 2 engines on 2 nodes for {USER}" in elsewhere.started
    for number in (MASTER, WORKER):
        assert admin(number, f"id -u {USER}") == "4711"
        assert as_user(admin, number, "cat work; stat -c %u work") == "kept\n4711"


def test_all_nodes_mount_from_elsewhere_and_the_master_serves_nothing(elsewhere, admin):
    for number in (MASTER, WORKER):
        for folder in (f"/home/{USER}", "/shared"):
            source, options = admin(number, f"findmnt -n -t nfs4 -o SOURCE,OPTIONS {folder}").split()
            assert source == f"{PLACE}{folder}"
            assert {"vers=4.1", "hard", "timeo=600"} <= set(options.split(","))
        assert admin(number, "systemctl is-active nfs-server || true") == "inactive"
    assert admin(SERVER, "stat -c %U /srv/lab/shared") == "root"  # the master made it


def test_what_an_engine_writes_is_on_the_server(elsewhere, admin):
    python(
        elsewhere,
        "def write():\n    from pathlib import Path\n    import os\n"
        "    Path.home().joinpath('from-node001').write_text(os.environ['CLUSTERCTL_NODE'])\n"
        "client[client.ids[1]].apply_sync(write)\nanswer = None",
    )
    file = f"/srv/lab/home/{USER}/from-node001"
    assert admin(SERVER, f"cat {file}; stat -c ' %u' {file}") == "node001 4711"
    assert as_user(admin, MASTER, "cat from-node001") == "node001"


def test_start_again_changes_nothing_there_either(elsewhere):
    again = elsewhere.laptop.run("start", "lab", timeout=300)
    assert "lab was already running: 2 engines on 2 nodes" in again.stdout + again.stderr


def test_after_the_masters_reboot_homes_and_engines_are_back_by_themselves(elsewhere, virtual_lab, admin, poll):
    reboot(MASTER, virtual_lab, admin, poll)
    poll(lambda: is_whole(elsewhere), "all engines are back", deadline_s=AFTER_REBOOT_S, every_s=3)
    assert as_user(admin, MASTER, "cat from-node001") == "node001"


def test_terminate_leaves_the_machines_as_they_were_and_the_work_on_the_server(elsewhere, admin):
    elsewhere.laptop.run("terminate", "--yes", "lab", timeout=600)
    assert_as_before(elsewhere, admin, (MASTER, WORKER))
    assert admin(SERVER, f"cat /srv/lab/home/{USER}/work; stat -c %u /srv/lab/home/{USER}") == "kept\n4711"
