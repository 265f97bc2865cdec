"""Homes from a file server that is none of the cluster's, on virtual machines with systemd.

The first machine is the file server, set up by hand; the cluster is on the two others.
"""

from __future__ import annotations

import subprocess

import pytest

from .test_virtual_machines import (
    CONFIG,
    HOST,
    STATE,
    USER,
    Story,
    admin,  # noqa: F401  a fixture
    as_user,
    python,
    virtual_lab,  # noqa: F401  a fixture
)

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

SERVER = "10.79.0.10:/srv/lab"
MASTER, WORKER = 1, 2
"""The numbers of their machines."""
OPTIONS = f"""
[plugin nfs]
SERVER = {SERVER}
PATHS = /shared
"""
SERVE = f"""
mkdir -p /srv/lab/home/{USER}
echo kept > /srv/lab/home/{USER}/work
chown -R 4711:4711 /srv/lab/home/{USER}
chmod 700 /srv/lab/home/{USER}
mkdir -p /etc/exports.d
echo '/srv/lab 10.79.0.0/24(rw,no_subtree_check,no_root_squash)' > /etc/exports.d/lab.exports
systemctl start nfs-server
exportfs -ra
"""


def has_booted(run, number):
    """Whether cloud-init changes nothing more."""
    try:
        return "done" in run(number, "cloud-init status", check=False)
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture(scope="module")
def story(virtual_lab, admin, laptop_class, tmp_path_factory, poll):  # noqa: F811
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    key = virtual_lab.machines[0].folder.parent / "admin_key"
    two = virtual_lab.machines[1:]
    hosts = [HOST.format(name=m.name, address=m.address, key=key, host_key=m.host_key) for m in two]
    config = CONFIG.format(user=USER, shell="bash").replace("HOSTS = vm0, ", "HOSTS = ").replace("VOLUMES = data\n", "")
    (laptop.home / "config").write_text(config + OPTIONS + "".join(hosts))
    for machine in range(3):
        poll(lambda number=machine: has_booted(admin, number), "cloud-init has done", deadline_s=900, every_s=3)
    before = tuple(admin(number, STATE) for number in (MASTER, WORKER))
    admin(0, SERVE)
    try:
        started = laptop.run("start", "lab", timeout=1800)
        yield Story(laptop, started.stdout + started.stderr, before)
    finally:
        laptop.run("terminate", "--yes", "lab", status=None, timeout=600)


def test_the_owner_of_the_home_that_was_there_is_the_user_everywhere(story, admin):  # noqa: F811
    assert "lab is up: 2 engines on 2 nodes for iptest" in story.started
    for number in (MASTER, WORKER):
        assert admin(number, f"id -u {USER}") == "4711"
        assert as_user(admin, number, "cat work; stat -c %u work") == "kept\n4711"


def test_all_nodes_mount_from_elsewhere_and_the_master_serves_nothing(story, admin):  # noqa: F811
    for number in (MASTER, WORKER):
        for folder in (f"/home/{USER}", "/shared"):
            source, options = admin(number, f"findmnt -n -t nfs4 -o SOURCE,OPTIONS {folder}").split()
            assert source == f"{SERVER}{folder}"
            assert {"vers=4.1", "hard", "timeo=600"} <= set(options.split(","))
        assert admin(number, "systemctl is-active nfs-server || true") == "inactive"
    assert admin(0, "stat -c %U /srv/lab/shared") == "root", "made by the master, for root"


def test_what_an_engine_writes_is_on_the_server(story, admin):  # noqa: F811
    python(
        story,
        "def write():\n    from pathlib import Path\n    import os\n"
        "    Path.home().joinpath('from-node001').write_text(os.environ['CLUSTERCTL_NODE'] + '\\n')\n"
        "client[client.ids[1]].apply_sync(write)\nanswer = None",
    )
    assert admin(0, f"cat /srv/lab/home/{USER}/from-node001; stat -c %u /srv/lab/home/{USER}/from-node001") == (
        "node001\n4711"
    )
    assert as_user(admin, MASTER, "cat from-node001") == "node001"


def test_start_again_changes_nothing(story, admin):  # noqa: F811
    again = story.laptop.run("start", "lab", timeout=300)
    assert "lab was already running: 2 engines on 2 nodes" in again.stdout + again.stderr
