"""What only a kernel shows, by the `static` provider on virtual machines: NFS, and disks that are mounted at boot.

One boot of three machines has two clusters side by side. In the first a master shares its homes and a data volume with
a worker. The second is a master alone, with homes from a file server that is none of its own: the first one's master.
So one reboot of two machines shows a server that was away, a client that stayed, and a client that boots while its
server does. What else a machine has is shown on containers: tests/e2e/test_systemd_hosts.py.
"""

from __future__ import annotations

import pytest

from ..support.baking import IPCLUSTER
from ..support.hosts import USER, started
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
MASTER, WORKER, OTHER = range(3)
"""The machines: the first cluster's, and the second one's."""
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
systemctl enable --quiet --now nfs-server
exportfs -ra
"""
LAST_NODE_WRITES = """
def write():
    from pathlib import Path
    import os
    Path.home().joinpath('from-' + os.environ['CLUSTERCTL_NODE']).write_text('mine')
client[client.ids[-1]].apply_sync(write)
answer = None
"""


@pytest.fixture(scope="module")
def story(virtual_lab, laptop_class, tmp_path_factory):
    """The cluster that shares its own, on a master that serves others already."""
    virtual_lab.on(MASTER, SERVE)
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(virtual_lab, laptop, (MASTER, WORKER), options=WITH_VOLUME) as made:
        yield made


@pytest.fixture(scope="module")
def elsewhere(story, laptop_class, tmp_path_factory):
    """The cluster beside it, for a user whose home is on a server that is no node of it."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(story.hosts, laptop, (OTHER,), options=FROM_ELSEWHERE) as made:
        yield made


def test_start_ends_with_an_engine_on_each_machine(story, poll):
    assert f"lab is up: 2 engines on 2 nodes for {USER}" in story.started
    story.await_engines(poll)  # `list` waits for no controller that is as slow as an emulated one


def test_services_have_their_limits(story):
    code = (
        "def limit():\n    import resource\n    return resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "answer = client[:].apply_sync(limit)"
    )
    assert story.python(code) == [[65536, 65536]] * 2


def test_a_file_that_an_engine_on_the_worker_writes_is_read_on_the_master_with_the_users_uid(story):
    story.python(LAST_NODE_WRITES)
    assert story.hosts.as_user(MASTER, "cat from-node001; stat -c ' %U' from-node001") == f"mine {USER}"
    assert story.hosts.as_user(WORKER, "stat -c %U from-node001; stat -f -c %T .") == f"{USER}\nnfs"


def test_a_data_volume_is_found_by_its_id_formatted_mounted_and_shared(story):
    hosts = story.hosts
    mounted = f"findmnt -n -o TARGET,FSTYPE --source $(readlink -f {DATA_DISK})"
    assert hosts.on(MASTER, mounted).split() == ["/data", "ext4"]
    assert hosts.as_user(WORKER, "stat -f -c %T /data; echo shared > /data/probe") == "nfs"
    assert hosts.on(MASTER, "cat /data/probe") == "shared"


def test_only_members_may_mount_and_only_by_version_4(story):
    # Each path, then whom it is exported to: on one line, or on the next where the path is long.
    exported = story.hosts.on(MASTER, "exportfs -v | tr -d '\\n' | sed 's|)|)\\n|g'").splitlines()
    ours = [line for line in exported if not line.startswith("/srv/lab")]
    assert [line.split()[0] for line in sorted(ours)] == ["/data", f"/home/{USER}"]
    assert all(line.split()[1].startswith("10.79.0.11(") and "no_root_squash" not in line for line in ours)
    assert "-3" in story.hosts.on(MASTER, "cat /proc/fs/nfsd/versions").split()
    assert int(story.hosts.on(MASTER, "cat /proc/fs/nfsd/threads")) >= 16


def test_the_owner_of_the_home_that_was_there_is_the_user(elsewhere):
    assert f"lab is up: 1 engine on 1 node for {USER}" in elsewhere.started
    assert elsewhere.hosts.as_user(OTHER, "id -u; cat work; stat -c %u work") == "4711\nkept\n4711"


def test_the_master_mounts_from_elsewhere_and_serves_nothing(elsewhere):
    look = f"for folder in /home/{USER} /shared; do findmnt -n -t nfs4 -o SOURCE,OPTIONS $folder; done"
    home, shared = (line.split() for line in elsewhere.hosts.on(OTHER, look).splitlines())
    assert (home[0], shared[0]) == (f"{PLACE}/home/{USER}", f"{PLACE}/shared")
    assert all({"vers=4.1", "hard", "timeo=600"} <= set(options.split(",")) for _, options in (home, shared))
    assert elsewhere.hosts.on(OTHER, "systemctl is-active nfs-server || true") == "inactive"
    assert elsewhere.hosts.on(MASTER, "stat -c %U /srv/lab/shared") == "root"  # the master made it


def test_what_an_engine_writes_is_on_the_server(elsewhere):
    elsewhere.python(LAST_NODE_WRITES)
    file = f"/srv/lab/home/{USER}/from-master"
    assert elsewhere.hosts.on(MASTER, f"cat {file}; stat -c ' %u' {file}") == "mine 4711"


def test_start_again_changes_nothing_there(elsewhere):
    again = elsewhere.laptop.run("start", "lab", timeout=300)
    assert "lab was already running: 1 engine on 1 node" in again.stdout + again.stderr


def test_after_a_server_and_its_client_booted_at_once_all_is_back_by_itself(story, elsewhere, poll):
    # The client first: who cannot ask its server any more takes minutes to shut down.
    story.hosts.reboot((OTHER, MASTER), poll)
    story.await_engines(poll)
    elsewhere.await_engines(poll)
    assert story.hosts.as_user(WORKER, "cat from-node001 /data/probe") == "mineshared"
    assert story.python("answer = client[:].map_sync(lambda x: x * x, range(6))") == [0, 1, 4, 9, 16, 25]
    assert elsewhere.hosts.as_user(OTHER, "cat from-master") == "mine"


def test_terminate_leaves_the_machine_as_it_was_and_the_work_on_the_server(elsewhere):
    elsewhere.laptop.run("terminate", "--yes", "lab", timeout=600)
    elsewhere.assert_as_before()
    work = f"cat /srv/lab/home/{USER}/work; stat -c %u /srv/lab/home/{USER}"
    assert elsewhere.hosts.on(MASTER, work) == "kept\n4711"


def test_terminate_leaves_the_machines_as_they_were_and_the_data_and_what_they_serve_to_others(story):
    story.laptop.run("terminate", "--yes", "lab", timeout=600)
    story.assert_as_before()
    # Its disk was not formatted again.
    assert story.hosts.on(MASTER, f"mount {DATA_DISK} /mnt && cat /mnt/probe && umount /mnt") == "shared"
    assert story.hosts.on(MASTER, "exportfs; systemctl is-active nfs-server").split()[::2] == ["/srv/lab", "active"]
