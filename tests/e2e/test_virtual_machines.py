"""What only a kernel shows, by the `static` provider on virtual machines: NFS, and disks that are mounted at boot.

One boot of three machines has a cluster on all of them, and then one on two, with homes from a file server that is none
of the cluster's: the third machine. What else a machine has is shown on containers: tests/e2e/test_systemd_hosts.py.
"""

from __future__ import annotations

import pytest

from ..support.baking import BAKED, IPCLUSTER
from ..support.hosts import USER, started
from ..support.virtual_lab import COUNT
from ..support.vms import DATA_DISK

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

WITH_VOLUME = f"""
VOLUMES = data
{IPCLUSTER}
[volume data]
DEVICE = {DATA_DISK}
FORMAT = yes
MOUNT_PATH = /data
"""
MASTER, STAYS, BOOTS = range(COUNT)
"""The machines of the first cluster: both of its workers, one of which boots together with the master."""
LAST_NODE_WRITES = """
def write():
    from pathlib import Path
    import os
    Path.home().joinpath('from-' + os.environ['CLUSTERCTL_NODE']).write_text('mine')
client[client.ids[-1]].apply_sync(write)
answer = None
"""
SERVER, OTHER_MASTER, OTHER_WORKER = range(COUNT)
"""The machines once more, for the second cluster."""
PLACE = "10.79.0.10:/srv/lab"
FROM_ELSEWHERE = f"""{IPCLUSTER}
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
def story(virtual_lab, laptop_class, tmp_path_factory):
    """The cluster on all three."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(virtual_lab, laptop, range(COUNT), options=WITH_VOLUME) as made:
        yield made


def test_start_ends_with_an_engine_on_each_machine(story):
    assert f"lab is up: 3 engines on 3 nodes for {USER}" in story.started
    assert story.engines() == {"master": 1, "node001": 1, "node002": 1}


def test_services_have_their_limits(story):
    code = (
        "def limit():\n    import resource\n    return resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "answer = client[:].apply_sync(limit)"
    )
    assert story.python(code) == [[65536, 65536]] * 3


def test_a_file_that_an_engine_on_node002_writes_is_read_on_the_master_with_the_users_uid(story):
    story.python(LAST_NODE_WRITES)
    hosts = story.hosts
    assert hosts.as_user(MASTER, "cat from-node002; stat -c ' %U' from-node002") == f"mine {USER}"
    assert hosts.as_user(BOOTS, "stat -c %U from-node002; stat -f -c %T .") == f"{USER}\nnfs"


def test_a_data_volume_is_found_by_its_id_formatted_mounted_and_shared(story):
    hosts = story.hosts
    mounted = f"findmnt -n -o TARGET,FSTYPE --source $(readlink -f {DATA_DISK})"
    assert hosts.on(MASTER, mounted).split() == ["/data", "ext4"]
    assert hosts.as_user(STAYS, "stat -f -c %T /data; echo shared > /data/probe") == "nfs"
    assert hosts.on(BOOTS, "cat /data/probe") == "shared"


def test_only_members_may_mount_and_only_by_version_4(story):
    exports = story.hosts.on(MASTER, "exportfs -v | tr -d '\\n\\t' ")
    assert "10.79.0.11" in exports
    assert "10.79.0.12" in exports
    assert "*" not in exports
    assert "no_root_squash" not in exports
    assert "-3" in story.hosts.on(MASTER, "cat /proc/fs/nfsd/versions").split()
    assert int(story.hosts.on(MASTER, "cat /proc/fs/nfsd/threads")) >= 16


def test_after_the_master_and_a_worker_booted_at_once_all_is_back_by_itself_on_both_workers(story, poll):
    # The worker first: who cannot ask its server any more takes minutes to shut down.
    story.hosts.reboot((BOOTS, MASTER), poll)
    story.await_engines(poll)
    for number in (STAYS, BOOTS):
        assert story.hosts.as_user(number, "cat from-node002 /data/probe") == "mineshared"
    assert story.python("answer = client[:].map_sync(lambda x: x * x, range(6))") == [0, 1, 4, 9, 16, 25]


def test_terminate_leaves_the_machines_as_they_were_and_the_data(story):
    story.laptop.run("terminate", "--yes", "lab", timeout=600)
    story.assert_as_before()
    # Its disk was not formatted again.
    assert story.hosts.on(MASTER, f"mount {DATA_DISK} /mnt && cat /mnt/probe && umount /mnt") == "shared"


@pytest.fixture(scope="module")
def elsewhere(virtual_lab, laptop_class, tmp_path_factory):
    """Another cluster, once the first is gone, for a user whose home is on a server that is none of the nodes."""
    virtual_lab.on(SERVER, SERVE)
    for number in (OTHER_MASTER, OTHER_WORKER):
        virtual_lab.on(number, f"cp -al {BAKED} /opt/clusterctl")
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(virtual_lab, laptop, (OTHER_MASTER, OTHER_WORKER), options=FROM_ELSEWHERE) as made:
        yield made


def test_the_owner_of_the_home_that_was_there_is_the_user_everywhere(elsewhere):
    assert f"lab is up: 2 engines on 2 nodes for {USER}" in elsewhere.started
    for number in elsewhere.numbers:
        assert elsewhere.hosts.as_user(number, "id -u; cat work; stat -c %u work") == "4711\nkept\n4711"


def test_all_nodes_mount_from_elsewhere_and_the_master_serves_nothing(elsewhere):
    look = "findmnt -n -t nfs4 -o SOURCE,OPTIONS /home/{user}; findmnt -n -t nfs4 -o SOURCE,OPTIONS /shared"
    for number in elsewhere.numbers:
        for folder, line in zip(
            (f"/home/{USER}", "/shared"),
            elsewhere.hosts.on(number, look.format(user=USER)).splitlines(),
            strict=True,
        ):
            source, options = line.split()
            assert source == f"{PLACE}{folder}"
            assert {"vers=4.1", "hard", "timeo=600"} <= set(options.split(","))
        assert elsewhere.hosts.on(number, "systemctl is-active nfs-server || true") == "inactive"
    assert elsewhere.hosts.on(SERVER, "stat -c %U /srv/lab/shared") == "root"  # the master made it


def test_what_an_engine_writes_is_on_the_server(elsewhere):
    elsewhere.python(LAST_NODE_WRITES)
    file = f"/srv/lab/home/{USER}/from-node001"
    assert elsewhere.hosts.on(SERVER, f"cat {file}; stat -c ' %u' {file}") == "mine 4711"
    assert elsewhere.hosts.as_user(OTHER_MASTER, "cat from-node001") == "mine"


def test_start_again_changes_nothing_there(elsewhere):
    again = elsewhere.laptop.run("start", "lab", timeout=300)
    assert "lab was already running: 2 engines on 2 nodes" in again.stdout + again.stderr


def test_after_the_masters_reboot_homes_and_engines_are_back_by_themselves(elsewhere, poll):
    elsewhere.hosts.reboot((OTHER_MASTER,), poll)
    elsewhere.await_engines(poll)
    assert elsewhere.hosts.as_user(OTHER_MASTER, "cat from-node001") == "mine"


def test_terminate_leaves_the_machines_as_they_were_and_the_work_on_the_server(elsewhere):
    elsewhere.laptop.run("terminate", "--yes", "lab", timeout=600)
    elsewhere.assert_as_before()
    work = f"cat /srv/lab/home/{USER}/work; stat -c %u /srv/lab/home/{USER}"
    assert elsewhere.hosts.on(SERVER, work) == "kept\n4711"
