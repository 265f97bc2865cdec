"""Clusters that clusterctl 0.1 started live on under this version: listed, repaired, grown, terminated."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass

import psutil
import pytest

CONFIG = """
[cluster local]
CLUSTER_SIZE = 2
PLUGINS = ipcluster
TUNNEL = always

[cluster docker]
PROVIDER = docker
NODE_IMAGE_ID = {image}
CLUSTER_SIZE = 2
PLUGINS = ipcluster

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""
SESSION = """
import ipyparallel
client = ipyparallel.Client({file!r}, timeout=60)
client.wait_for_engines(2, timeout=60)
client[:].push(dict(kept='a value of the user'), block=True)
def ask(numbers):
    def answer(): return __import__('os').getpid(), globals().get('kept')
    return [list(client[number].apply_async(answer).get(timeout=60)) for number in numbers]
"""


@dataclass
class Upgraded:
    """Somebody's computer after the upgrade, with a cluster from before and a session on it that stays open."""

    laptop: object
    name: str
    session: object
    before: list[list[object]]
    """By engine: its process, and the value that the user left there."""

    def asked(self, *numbers):
        return self.session.value(f"ask({list(numbers)})")

    def listed(self):
        (cluster,) = self.laptop.json("list", "--json", self.name)
        return cluster["state"], {node["alias"]: node["engines"] for node in cluster["nodes"]}


@pytest.fixture
def upgraded(request, first_clusterctl, laptop_class, tmp_path_factory):
    """The cluster of the template that the test names, which 0.1 has just started."""
    template = request.param
    image = request.getfixturevalue("docker_image") if template == "docker" else ""
    home = tmp_path_factory.mktemp("laptop") / "home"
    home.mkdir()
    (home / "config").write_text(CONFIG.format(image=image))
    name = f"old{secrets.token_hex(3)}"
    laptop = laptop_class(home)
    try:
        # Somebody has both versions, and this one has written first what all clusters of a computer share.
        laptop.run("start", "--dry-run", "-c", template, name)
        # From a folder without sources: its tunnel is a `python -m`, which would find ours in this one.
        start = [*first_clusterctl, "start", "-c", template, name]
        done = subprocess.run(start, cwd=home, env=laptop.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not [event for event in laptop.journal(name) if event["event"] == "format"]
        with laptop.console() as session:
            session.run(SESSION.format(file=str(laptop.folder(name) / "client.json")))
            yield Upgraded(laptop, name, session, session.value("ask([0, 1])"))
    finally:
        laptop.terminate_all()


def add_a_section(laptop):
    """The plan of the cluster is another one then, though nothing is different on its nodes: all of them join again."""
    with (laptop.home / "config").open("a") as config:
        config.write("\n[plugin packages]\nPACKAGES =\n")


def tunnel_of(upgraded):
    return (upgraded.laptop.folder(upgraded.name) / "tunnel.pid").read_text()


def live_on(upgraded, lose_worker):
    """The story after the upgrade. The session goes on through it, and so does the engine on the master."""
    laptop, name = upgraded.laptop, upgraded.name
    tunnel = tunnel_of(upgraded)
    assert upgraded.listed() == ("running", {"master": 1, "node001": 1})
    laptop.run("status", name)
    laptop.run("start", name)  # all join again where the plugins of today have other options, and nobody else
    assert upgraded.asked(0, 1) == upgraded.before
    add_a_section(laptop)
    assert "2 nodes to join" in laptop.run("start", name).stdout
    assert upgraded.asked(0, 1) == upgraded.before
    lose_worker()
    laptop.run("start", name, timeout=300)
    assert upgraded.listed() == ("running", {"master": 1, "node001": 1})
    laptop.run("addnode", name, timeout=300)
    assert upgraded.listed() == ("running", {"master": 1, "node001": 1, "node002": 1})
    kept, replaced, added = upgraded.asked(0, 1, 2)
    assert kept == upgraded.before[0]
    assert replaced[1] is added[1] is None
    assert tunnel_of(upgraded) == tunnel
    assert any(event["event"] == "format" for event in laptop.journal(name))
    laptop.run("terminate", "--yes", name)
    assert laptop.json("list", "--json") == []


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("upgraded", ["local"], indirect=True)
def test_local_nodes_of_the_first_version_live_on(upgraded):
    def lose_worker():
        psutil.Process(upgraded.laptop.running(upgraded.name, "node001")["pid"]).kill()

    live_on(upgraded, lose_worker)


@pytest.mark.docker
@pytest.mark.timeout(600)
@pytest.mark.parametrize("upgraded", ["docker"], indirect=True)
def test_containers_of_the_first_version_live_on(upgraded):
    label = f"label=clusterctl.cluster={upgraded.name}"

    def docker(*arguments):
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()

    def lose_worker():
        docker("rm", "--force", *docker("ps", "-q", "--filter", label, "--filter", "label=clusterctl.alias=node001"))

    live_on(upgraded, lose_worker)
    assert not [*docker("ps", "-aq", "--filter", label), *docker("network", "ls", "-q", "--filter", label)]
    assert not docker("volume", "ls", "-q", "--filter", label)
