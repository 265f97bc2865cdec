"""The story on hosts with systemd and cloud-init, by the `static` provider, on containers.

They share their homes, since the kernel that they borrow may have no NFS. What only a kernel of their own shows is in
tests/e2e/test_virtual_machines.py.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import urllib.request

import pytest

from clusterctl.model import Facet
from clusterctl.providers.base import machine_layout
from clusterctl.testing import fake_node

from ..support import deafness, ending
from ..support.hosts import LOGIN, USER, started
from ..support.systemd_hosts import COUNT
from ..support.two_laptops import TwoLaptops, check_one_owner_at_a_time

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

OPTIONS = """
SHARED_HOME = yes
CLUSTER_SHELL = tcsh
PLUGINS = ippackages, ipcluster

[plugin ippackages]
SETUP_CLASS = packages
PACKAGES = msgpack

[plugin ipcluster]
ENABLE_NOTEBOOK = True
NOTEBOOK_DIRECTORY = notebooks
ENGINES_PER_NODE = 1
"""
LAYOUT = machine_layout(USER)
MASTER, NODE001, NODE002 = range(COUNT)


@pytest.fixture(scope="module")
def story(systemd_hosts, laptop_class, tmp_path_factory):
    """The cluster on all three."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(systemd_hosts, laptop, range(COUNT), options=OPTIONS) as made:
        yield made


def test_start_ends_with_an_engine_on_each_host(story):
    assert f"lab is up: 3 engines on 3 nodes for {USER}" in story.started
    assert story.engines() == {"master": 1, "node001": 1, "node002": 1}


def test_cloud_init_has_made_the_login_and_the_host_keys_were_known(story):
    assert all("DataSourceNoCloud" in result for result in story.hosts.everywhere("cat /run/cloud-init/result.json"))


def test_the_user_has_the_same_uid_and_shell_everywhere(story):
    (line,) = set(story.hosts.everywhere(f"getent passwd {USER} | cut -d: -f1,3,4,6,7"))
    assert line.startswith(f"{USER}:")
    assert line.endswith("tcsh")


def test_a_file_that_an_engine_on_node002_writes_is_read_on_the_master_with_the_users_uid(story):
    story.python(
        "def write():\n    from pathlib import Path\n    import os\n"
        "    Path.home().joinpath('from-node002').write_text(os.environ['CLUSTERCTL_NODE'])\n"
        "client[client.ids[2]].apply_sync(write)\nanswer = None",
    )
    assert story.hosts.as_user(MASTER, "cat from-node002; stat -c ' %U' from-node002") == f"node002 {USER}"


def test_homes_that_are_shared_already_are_left_alone(story):
    assert story.hosts.everywhere("command -v exportfs; findmnt -n -t nfs4; grep -c nfs /etc/fstab; true") == ["0"] * 3


def test_the_user_gets_from_any_member_to_any_other_without_a_question(story):
    for source, goal in (("master", "node002"), ("node001", "master"), ("node002", "node001")):
        command = f"ssh -o BatchMode=yes {goal} printenv USER"
        said = story.laptop.run("sshnode", "-u", USER, "lab", source, command).stdout
        assert said.strip() == USER


def test_packages_are_the_same_everywhere_and_work(story):
    answer = story.python(
        "def versions():\n    import msgpack, sys\n"
        "    return [msgpack.unpackb(msgpack.packb(7)), sys.version_info[:2]]\n"
        "answer = client[:].apply_sync(versions)",
    )
    assert answer == [[7, list(sys.version_info[:2])]] * 3


def test_services_are_enabled_and_write_logs_under_systemd(story):
    assert story.hosts.on(NODE001, "systemctl is-enabled clusterctl-engine@1.service") == "enabled"
    assert "engine-1.log" in story.laptop.run("logs", "lab", "node001").stdout
    assert story.hosts.on(MASTER, "systemd-analyze verify clusterctl-engine@0.service 2>&1", check=False) == ""


def test_the_notebook_answers_on_the_laptop(story, poll):
    url = story.laptop.run("notebook", "lab").stdout.strip()

    def answers():
        try:
            with urllib.request.urlopen(url, timeout=60) as page:
                return page.status == 200
        except OSError:
            return False

    poll(answers, "JupyterLab answers", deadline_s=120, every_s=0.5)


def test_start_again_changes_nothing(story):
    before = story.hosts.everywhere("systemctl show --property=ExecMainPID 'clusterctl-*'")
    again = story.laptop.run("start", "lab")
    assert "lab was already running: 3 engines on 3 nodes" in again.stdout + again.stderr
    assert story.hosts.everywhere("systemctl show --property=ExecMainPID 'clusterctl-*'") == before


def test_an_engine_that_is_killed_comes_back_with_its_id(story, poll):
    def process():
        return story.hosts.on(NODE001, "systemctl show --property=ExecMainPID --value clusterctl-engine@1")

    before = process()
    story.hosts.on(NODE001, "systemctl kill --signal=KILL clusterctl-engine@1")
    poll(lambda: process() not in ("0", before), "systemd has started another one", deadline_s=60, every_s=0.5)
    story.await_engines(poll)


def test_two_laptops_change_a_host_one_after_the_other_and_the_clusters_own_goes_on(story, tmp_path):
    host = story.hosts.all[NODE001]
    facets = frozenset({Facet.MACHINE, Facet.INIT})
    node = fake_node(
        "node001", address=host.address, port=22, user=LOGIN, host_key=host.host_key, facets=facets, layout=LAYOUT
    )
    (tmp_path / "pinned").write_text(f"{host.address} {host.host_key}\n")
    files = {"key": story.hosts.key, "known_hosts": tmp_path / "pinned", "log": tmp_path / "log"}
    check_one_owner_at_a_time(TwoLaptops(node, files, tmp_path))
    story.laptop.run("runplugin", "ippackages", "lab")
    assert story.is_whole()


def test_the_node_itself_brings_back_what_is_dead_or_stopped(story, poll):
    def rows():
        said = story.laptop.json("status", "lab", "--json", status=None)
        return {row["item"]: row["value"] for row in said["rows"] if row["node"] == "master"}

    def controller():
        return story.hosts.on(MASTER, "systemctl show --property=ExecMainPID --value clusterctl-controller@0")

    before = controller()
    find = "find / -xdev -name parts.json -path '*profile_cluster*' -exec cat {} +"
    parts = json.loads(story.hosts.on(MASTER, find))["parts"]
    story.hosts.on(MASTER, f"kill -KILL {parts['task scheduler']}")
    poll(lambda: controller() not in ("0", before), "systemd has started another one", deadline_s=60, every_s=0.5)
    story.await_engines(poll)
    poll(lambda: rows()["controller"].startswith("answers"), "the controller answers", deadline_s=60, every_s=0.5)
    story.hosts.on(MASTER, "systemctl kill --signal=STOP clusterctl-notebook@0")
    poll(lambda: rows()["notebook"].startswith("answers"), "the notebook answers", deadline_s=60, every_s=0.5)
    assert "was stopped, and goes on" in story.laptop.run("logs", "lab").stdout


def test_an_ssh_server_that_is_deaf_is_followed_by_another_one_of_its_unit(story, poll):
    def pids():
        shown = "systemctl show --property=MainPID --value ssh clusterctl-engine@1"
        try:
            return story.hosts.on(NODE001, shown, check=False).split()
        except (OSError, subprocess.SubprocessError):
            return []

    before = pids()
    hold = f"setsid python3 -c {shlex.quote(deafness.HOLD)} {before[0]} >/run/held 2>&1 </dev/null &"
    story.hosts.on(NODE001, f"{hold} while ! grep -q held /run/held; do sleep 0.1; done")
    now = poll(lambda: (found := pids()) and found[0] not in ("0", before[0]) and found, "another one", deadline_s=120)
    assert now[1] == before[1]
    assert "the SSH server does not greet: another one starts" in story.laptop.run("logs", "lab", "node001").stdout


def test_after_a_workers_reboot_its_engine_is_back_by_itself(story, poll):
    story.hosts.reboot((NODE002,), poll)
    story.await_engines(poll)
    assert story.hosts.as_user(NODE002, "cat from-node002") == "node002"


def test_after_the_masters_reboot_everything_is_back_by_itself(story, poll):
    story.hosts.reboot((MASTER,), poll)
    story.await_engines(poll)
    squares = story.python("answer = client[:].map_sync(lambda x: x * x, range(6))")
    assert squares == [0, 1, 4, 9, 16, 25]


def test_runplugin_restarts_the_engines(story):
    said = story.laptop.run("runplugin", "ipclusterrestart", "lab")
    assert "Restarting 3 engines on 3 nodes" in said.stdout + said.stderr
    assert story.is_whole()


def test_it_ends_by_itself_without_the_laptop_and_no_host_is_switched_off(story, poll):
    story.laptop.run("start", "lab", env={"CLUSTERCTL_IDLE_STOP": "5s"})
    running = "--state=active,activating,deactivating"
    find = f"systemctl list-units {running} --plain --no-legend 'clusterctl-engine*' 'clusterctl-controller*'"
    assert ending.await_end(story.laptop, "lab") == "nobody has worked for 5 s"
    poll(lambda: not any(story.hosts.everywhere(find)), "all services have stopped", deadline_s=90)
    said = story.laptop.run("status", "lab", status=1).stdout
    assert "it has ended by itself: nobody has worked for 5 s" in said
    story.laptop.run("start", "lab")
    assert story.is_whole()


def test_terminate_leaves_the_hosts_on_and_as_they_were(story):
    story.laptop.run("terminate", "--yes", "lab")
    story.assert_as_before()
    # An engine that ends with a status stays listed, as `not-found failed`, if nobody takes it off.
    listed = story.hosts.everywhere("systemctl list-units --all --plain --no-legend 'clusterctl-*'")
    assert [text.strip() for text in listed] == [""] * COUNT
