"""A spot node that is told of its end: a container that asks a metadata service of its own, in a cluster that works."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from clusterctl.api import Facet
from clusterctl.events import SILENT
from clusterctl.wiring.context import load_context

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

NAME = "spotlab"
PORT = 8169
CONFIG = """
[global]
DEFAULT_TEMPLATE = docker

[cluster docker]
PROVIDER = docker
NODE_IMAGE_ID = {image}
CLUSTER_SIZE = 2
CLUSTER_USER = iptest
PLUGINS = ipcluster

[plugin ipcluster]
ENGINES_PER_NODE = 2

[plugin spot]
METADATA_URL = http://127.0.0.1:{port}
POLL_S = 1
"""
SERVICE = Path(__file__).parents[1] / "support" / "metadata_service.py"
TASK = """
def whole(seconds):
    import os, time
    if os.environ["CLUSTERCTL_NODE"] == "node001":
        time.sleep(seconds)  # longer than its node has
    return os.environ["CLUSTERCTL_NODE"]

view = client.load_balanced_view()
view.retries = 3
results = [view.apply_async(whole, 600) for _ in range(4)]
"""
WHERE = """
def where(_):
    import os
    return os.environ["CLUSTERCTL_NODE"]
"""


@dataclass(frozen=True)
class Story:
    """A cluster whose worker is taken for a spot node."""

    laptop: object

    @contextmanager
    def cluster(self):
        """The plugin and the cluster, as an operation has them."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CLUSTERCTL_HOME", str(self.laptop.home))
            parts = load_context(NAME, config_file=None, report=SILENT)
            nodes = [replace(n, market="" if n.is_master else "spot") for n in parts.provider.nodes(NAME)]
            cluster = parts.make_cluster(nodes)
            try:
                yield next(each.plugin for each in parts.plugin_host.plugins if each.name == "spot"), cluster
            finally:
                cluster.close()

    def engines(self):
        (found,) = self.laptop.json("list", "--json", NAME)
        return {node["alias"]: node["engines"] for node in found["nodes"]}

    def join(self):
        """What a join of the spot node changed."""
        with self.cluster() as (plugin, cluster):
            remote = cluster.on(cluster.node("node001"))
            said = []
            real = remote.run_script
            remote.run_script = lambda script, **about: said.append(real(script, **about)) or said[-1]
            plugin.clusterctl_join(cluster, cluster.node("node001"))
        return [line for result in said for line in result.stdout.splitlines()]

    def rows(self):
        with self.cluster() as (plugin, cluster):
            rows = plugin.clusterctl_status(cluster)
            assert cluster.count_commands() == {"master": 1}
        return [(row.node, row.value, row.healthy) for row in rows]


def inside(command: str, alias: str = "node001") -> str:
    filters = ["--filter", f"label=clusterctl.cluster={NAME}", "--filter", f"label=clusterctl.alias={alias}"]
    found = subprocess.run(["docker", "ps", "-q", *filters], capture_output=True, text=True, check=True).stdout.strip()
    done = subprocess.run(["docker", "exec", "-i", found, "sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, f"{alias}: {command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def story(docker_image, laptop_class, tmp_path_factory):
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(image=docker_image, port=PORT))
    try:
        laptop.run("start", NAME, timeout=500)
        inside(f"mkdir -p /tmp/imds && cat > /tmp/imds/service.py <<'EOF_SERVICE'\n{SERVICE.read_text()}\nEOF_SERVICE")
        inside(f"setsid python3 /tmp/imds/service.py /tmp/imds {PORT} >/tmp/imds/log 2>&1 </dev/null &")
        yield Story(laptop)
    finally:
        laptop.run("terminate", "--yes", NAME, status=None)


def pid():
    return inside("pgrep -f '[s]pot/watch.py'")


def notify(left_s):
    end = datetime.now(timezone.utc) + timedelta(seconds=left_s)
    text = json.dumps({"action": "terminate", "time": end.strftime("%Y-%m-%dT%H:%M:%SZ")})
    inside(f"printf %s '{text}' > /tmp/imds/new && mv /tmp/imds/new /tmp/imds/notice")
    return end.strftime("%H:%M:%SZ")


def said_in_order(log):
    """The log, once it tells the whole story."""
    words = ["this instance will be taken", "the engines are stopped", "the engines are gone"]
    places = [log.find(each) for each in words]
    return log if -1 not in places and places == sorted(places) else ""


def test_nothing_watches_a_node_that_is_no_spot_node(story):
    assert inside("pgrep -f '[s]pot/watch.py' || echo none") == "none"


def test_a_spot_node_is_watched_by_root_and_a_second_join_changes_nothing(story, poll):
    assert len([line for line in story.join() if line.startswith("changed: ")]) == 5
    before = pid()
    assert inside(f"ps -o user= -p {before}") == "root"
    assert story.join() == []
    assert pid() == before
    poll(lambda: "instance-action 404" in inside("cat /tmp/imds/asked"), "it has asked")
    assert story.rows() == []
    assert story.engines() == {"master": 2, "node001": 2}


def test_a_watch_that_is_killed_comes_back(story, poll):
    before = pid()
    inside(f"kill -KILL {before}")
    poll(lambda: inside("pgrep -f '[s]pot/watch.py' || true") not in ("", before), "another one watches")


def test_a_recommendation_is_shown_and_changes_nothing(story, poll):
    inside("""printf %s '{"noticeTime": "2026-11-28T09:50:00Z"}' > /tmp/imds/rebalance""")
    assert poll(story.rows, "status tells of it") == [("node001", "may be taken: so AWS says since 09:50:00Z", True)]
    inside("rm /tmp/imds/rebalance")
    poll(lambda: not story.rows(), "status tells of it no more")


def test_a_notice_lets_its_engines_have_nothing_new_until_it_is_taken_back(story, poll):
    with story.laptop.console() as console:
        console.run(f"import clusterctl\nclient = clusterctl.connect({NAME!r}, wait=4)\n{WHERE}")
        ways = [
            "sorted({*client.load_balanced_view().map_sync(where, range(20), chunksize=1)})",
            "sorted({*client.map(where, range(200), chunksize=1)})",
        ]
        for way in ways:
            poll(lambda way=way: console.value(way) == ["master", "node001"], f"both nodes work: {way}")
        notify(left_s=600)
        for way in ways:
            poll(lambda way=way: console.value(way) == ["master"], f"the other node works alone: {way}")
        assert story.engines() == {"master": 2, "node001": 2}, "what they are at goes on"
        inside("rm /tmp/imds/notice")
        for way in ways:
            poll(lambda way=way: console.value(way) == ["master", "node001"], f"both work again: {way}")


def test_its_engines_go_before_the_end_and_their_work_is_done_elsewhere(story, poll):
    file = story.laptop.folder(NAME) / "client.json"
    with story.laptop.console() as console:
        console.run(f"import ipyparallel\nclient = ipyparallel.Client({str(file)!r}, timeout=60)\n{TASK}")
        poll(
            lambda: console.value(
                "[n for n, has in client.queue_status().items() if n != 'unassigned' and has['tasks']]"
            ),
            "the work is under way",
        )
        clock = notify(left_s=60)
        (row,) = poll(story.rows, "status tells of it")
        assert row == ("node001", f"will be taken at {clock}", False)
        assert clock in inside("cat /run/clusterctl/interruption")
        assert story.engines() == {"master": 2, "node001": 2}, "they have their time"
        poll(lambda: story.engines() == {"master": 2, "node001": 0}, "the controller has let them go", deadline_s=60)
        assert console.value("[result.get(timeout=60) for result in results]") == ["master"] * 4
    poll(lambda: inside("pgrep -f '[i]pyparallel.engine' || true") == "", "the engines have ended", deadline_s=30)
    log = poll(lambda: said_in_order(inside("cat /var/log/clusterctl/spot-0.log")), "the watch has done all of it")
    assert "status" not in log
    assert story.engines() == {"master": 2, "node001": 0}, "they do not come back"


def test_a_machine_that_outlives_its_cluster_is_left_without_it(story):
    with story.cluster() as (plugin, cluster):
        node = cluster.node("node001")
        plugin.clusterctl_undo(cluster, replace(node, facets=node.facets | {Facet.LASTING}))
    assert inside("pgrep -f '[s]pot/watch.py' || echo none") == "none"
    assert inside("ls -d /var/lib/clusterctl/spot /run/clusterctl/interruption 2>/dev/null || echo none") == "none"
