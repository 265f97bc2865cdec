"""A cluster of containers grows from no engine at all, and goes back to its master alone."""

from __future__ import annotations

import secrets
import subprocess

import pytest

from ..support.laptop import read_acts

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
CONFIG = """
[cluster docker]
PROVIDER = docker
NODE_IMAGE_ID = {image}
PLUGINS = ipcluster
CLUSTER_USER = iptest
CLUSTER_SIZE = 1
SCALE_MIN = 0
SCALE_MAX = 3
SCALE_DOWN_AFTER = 3s

[plugin ipcluster]
MASTER_ENGINES = 0
ENGINES_PER_NODE = 1

[global]
DEFAULT_TEMPLATE = docker
"""
NAME = f"growing{secrets.token_hex(3)}"


def containers():
    """The aliases of the containers that there are."""
    words = ["docker", "ps", "-a", "--filter", f"label=clusterctl.cluster={NAME}"]
    listed = subprocess.run([*words, "--format", '{{.Label "clusterctl.alias"}}'], capture_output=True, text=True)
    return sorted(listed.stdout.split())


@pytest.fixture
def laptop(docker_image, laptop_class, tmp_path):
    laptop = laptop_class(tmp_path / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(image=docker_image))
    try:
        laptop.run("start", NAME, timeout=500)
        yield laptop
    finally:
        laptop.run("terminate", "--yes", NAME, status=None)
    assert containers() == []


def test_a_map_without_any_engine_brings_containers_which_leave_again(laptop, poll):
    with laptop.console() as client, laptop.begin("watch", NAME, "--every", "1", "--json") as watch:
        client.run(
            "import time, clusterctl\n"
            f"client = clusterctl.connect({NAME!r})\n"
            "begun = client.pool().map_async(time.sleep, [1.0] * 60)"
        )
        assert read_acts(watch, "begun", "done") == [("grow", None, "begun"), ("grow", None, "done")]
        assert "node001" in containers()
        assert client.value("len(begun.get())") == 60
        poll(lambda: containers() == ["master"], "the workers have left", deadline_s=120, every_s=1)
        assert client.value("client.ids") == []
