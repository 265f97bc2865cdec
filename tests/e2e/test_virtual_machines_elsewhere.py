"""Homes from a file server that is none of the cluster's: the first virtual machine; the cluster is on the others."""

from __future__ import annotations

import pytest

from .baking import USER
from .virtual_lab import AFTER_REBOOT_S, as_user, assert_as_before, is_whole, python, reboot, started

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

SERVER, MASTER, WORKER = range(3)
"""The numbers of the machines."""
PLACE = "10.79.0.10:/srv/lab"
OPTIONS = f"""
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
    """The cluster, for a user whose home is on the server already."""
    admin(SERVER, SERVE)
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(virtual_lab, admin, laptop, (MASTER, WORKER), OPTIONS) as made:
        yield made


def test_the_owner_of_the_home_that_was_there_is_the_user_everywhere(story, admin):
    assert f"lab is up: 2 engines on 2 nodes for {USER}" in story.started
    for number in (MASTER, WORKER):
        assert admin(number, f"id -u {USER}") == "4711"
        assert as_user(admin, number, "cat work; stat -c %u work") == "kept\n4711"


def test_all_nodes_mount_from_elsewhere_and_the_master_serves_nothing(story, admin):
    for number in (MASTER, WORKER):
        for folder in (f"/home/{USER}", "/shared"):
            source, options = admin(number, f"findmnt -n -t nfs4 -o SOURCE,OPTIONS {folder}").split()
            assert source == f"{PLACE}{folder}"
            assert {"vers=4.1", "hard", "timeo=600"} <= set(options.split(","))
        assert admin(number, "systemctl is-active nfs-server || true") == "inactive"
    assert admin(SERVER, "stat -c %U /srv/lab/shared") == "root"  # the master made it


def test_what_an_engine_writes_is_on_the_server(story, admin):
    python(
        story,
        "def write():\n    from pathlib import Path\n    import os\n"
        "    Path.home().joinpath('from-node001').write_text(os.environ['CLUSTERCTL_NODE'])\n"
        "client[client.ids[1]].apply_sync(write)\nanswer = None",
    )
    file = f"/srv/lab/home/{USER}/from-node001"
    assert admin(SERVER, f"cat {file}; stat -c ' %u' {file}") == "node001 4711"
    assert as_user(admin, MASTER, "cat from-node001") == "node001"


def test_start_again_changes_nothing(story):
    again = story.laptop.run("start", "lab", timeout=300)
    assert "lab was already running: 2 engines on 2 nodes" in again.stdout + again.stderr


def test_after_the_masters_reboot_homes_and_engines_are_back_by_themselves(story, virtual_lab, admin, poll):
    reboot(MASTER, virtual_lab, admin, poll)
    poll(lambda: is_whole(story), "all engines are back", deadline_s=AFTER_REBOOT_S, every_s=3)
    assert as_user(admin, MASTER, "cat from-node001") == "node001"


def test_terminate_leaves_the_machines_as_they_were_and_the_work_on_the_server(story, admin):
    story.laptop.run("terminate", "--yes", "lab", timeout=600)
    assert_as_before(story, admin, (MASTER, WORKER))
    assert admin(SERVER, f"cat /srv/lab/home/{USER}/work; stat -c %u /srv/lab/home/{USER}") == "kept\n4711"
