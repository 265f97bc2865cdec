"""Another laptop takes a cluster over on hosts that were there before: their own words say whose they are."""

from __future__ import annotations

import json
import shutil

import pytest

from ..support.hosts import LOGIN, USER, started
from ..support.systemd_hosts import COUNT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

OPTIONS = "SHARED_HOME = yes\nPLUGINS = ipcluster\n[plugin ipcluster]\nENGINES_PER_NODE = 1\n"
MASTER, NODE001, NODE002 = range(COUNT)


@pytest.fixture(scope="module")
def story(systemd_hosts, laptop_class, tmp_path_factory):
    """The cluster on all three."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(systemd_hosts, laptop, range(COUNT), options=OPTIONS) as made:
        yield made


@pytest.fixture
def elsewhere(story, tmp_path, monkeypatch):
    """Somebody who has the hosts' keys in their ssh, no config, and never saw the cluster."""
    ssh = tmp_path / "me" / ".ssh"
    ssh.mkdir(parents=True)
    hosts = story.hosts.all
    (ssh / "known_hosts").write_text("".join(f"{host.address} {host.host_key}\n" for host in hosts))
    story.laptop.more.update(HOME=str(tmp_path / "me"), SSH_AUTH_SOCK="")
    return [f"{LOGIN}@{host.address}" for host in hosts]


def processes(story):
    return story.hosts.everywhere("systemctl show --property=ExecMainPID --value 'clusterctl-*'")


def lose_home(story):
    """Delete the laptop's home; the processes that keep its tunnel end with it."""
    shutil.rmtree(story.laptop.home)
    story.laptop.home.mkdir()


def test_with_the_home_deleted_a_config_with_the_hosts_is_enough(story, poll):
    config = (story.laptop.home / "config").read_text()
    before = processes(story)
    lose_home(story)
    story.laptop.refuse("attach", "lab", status=2, says=["no provider has nodes of a cluster lab"])
    # Somebody else's config: another order, other names, and a template of its own beside ours.
    (story.laptop.home / "config").write_text(
        config.replace("[host host", "[host rack").replace("host0, host1, host2", "rack2, rack0, rack1")
    )
    said = story.laptop.run("attach", "lab", timeout=600)
    assert "lab is up" in said.stdout
    assert processes(story) == before
    assert story.is_whole()
    listed = story.laptop.json("list", "--json", "lab")[0]["nodes"]
    assert {node["alias"]: node["address"] for node in listed} == {
        alias: story.hosts.all[number].address
        for alias, number in (("master", MASTER), ("node001", NODE001), ("node002", NODE002))
    }
    story.laptop.refuse("attach", "lab", status=2, says=["this computer's already"])


def test_without_any_config_the_named_hosts_are_asked_and_no_others(story, elsewhere):
    before = processes(story)
    lose_home(story)
    key = ("--key", str(story.hosts.key))
    story.laptop.refuse(
        "attach", "--host", elsewhere[NODE001], *key, "lab", status=1, says=["is the master of lab, or it has no"]
    )
    alone = story.laptop.run("attach", "--host", elsewhere[MASTER], *key, "lab", status=2)
    assert f"node002: {elsewhere[NODE002]}:22, host key SHA256:" in alone.stderr
    assert "each by --host" in alone.stderr
    assert [path.name for path in story.laptop.home.rglob("*") if path.is_file() and path.name != "turn.json"] == []
    named = [word for host in elsewhere for word in ("--host", host)]
    assert "lab is up" in story.laptop.run("attach", *named, *key, "lab", timeout=600).stdout
    assert processes(story) == before
    assert story.is_whole()


def test_a_host_that_says_it_is_anothers_is_left_out(story, elsewhere):
    mark = "/var/lib/clusterctl/cluster"
    own = story.hosts.on(NODE002, f"cat {mark}")
    record = "/var/lib/clusterctl/cluster.json"
    story.hosts.on(MASTER, f"cp {record} {record}.kept")
    story.hosts.on(NODE002, f"echo 'lab {'0' * 32}' > {mark}")
    lose_home(story)
    named = [word for host in elsewhere for word in ("--host", host)]
    both = story.laptop.refuse("attach", *named, "--key", str(story.hosts.key), "lab", status=2)
    assert "several clusters are called lab" in both.stderr
    chosen = ("--id", own.split()[1])
    said = story.laptop.run("attach", *named, *chosen, "--key", str(story.hosts.key), "lab", timeout=600)
    assert "node002 is left out, as its host does not say that it is of this cluster" in said.stderr
    assert [*story.engines()] == ["master", "node001"]
    assert "node002" not in json.loads(story.hosts.on(MASTER, f"cat {record}"))["hosts"]
    story.hosts.on(NODE002, f"echo '{own}' > {mark}")
    story.hosts.on(MASTER, f"mv {record}.kept {record}")
    shutil.rmtree(story.laptop.folder("lab"))
    shutil.rmtree(story.laptop.home / "static")
    assert "lab is up" in story.laptop.run("attach", *named, "--key", str(story.hosts.key), "lab", timeout=600).stdout
    assert [*story.engines()] == ["master", "node001", "node002"]
    assert story.is_whole()


def test_without_its_note_of_the_hosts_terminate_ends_nothing_and_attach_finds_them(story, elsewhere):
    shutil.rmtree(story.laptop.home / "static")
    story.laptop.refuse("terminate", "--yes", "lab", status=1, says=["lost its note of the hosts", "clusterctl attach"])
    assert story.hosts.on(NODE001, "systemctl is-active clusterctl-engine@1") == "active"
    story.laptop.run("attach", "lab", timeout=600)
    assert story.is_whole()


def test_without_the_clusters_folder_the_note_has_the_id_and_terminate_leaves_nothing(story, elsewhere):
    record = json.loads((story.laptop.home / "static" / "lab.json").read_text())
    assert record["user"] == USER
    assert record["id"] == story.hosts.on(MASTER, "cat /var/lib/clusterctl/cluster").split()[1]
    shutil.rmtree(story.laptop.folder("lab"))
    (story.laptop.home / "config").unlink(missing_ok=True)
    said = story.laptop.run("terminate", "--yes", "lab", timeout=600)
    assert "lab is gone (3 nodes)" in said.stdout
    story.assert_as_before()
