"""An image that is baked: what is on it, what is not, and that `start` takes it by itself."""

from __future__ import annotations

import re
import secrets

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

CONTENTS = """
CLUSTER_SIZE = 2
CLUSTER_USER = iptest
PLUGINS = packages, aptpackages

[plugin packages]
PACKAGES = msgpack

[plugin aptpackages]
PACKAGES = less
"""
"""The end of a config: what is baked, whoever has the images."""
CONFIG = """
[global]
DEFAULT_TEMPLATE = docker

[cluster docker]
PROVIDER = docker
NODE_IMAGE_ID = {image}
"""
NAME = f"test{secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def laptop(docker_image, laptop_class, tmp_path_factory):
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(image=docker_image) + CONTENTS)
    yield laptop
    laptop.run("terminate", "--yes", "mycluster", f"bake-{NAME}", status=None)


@pytest.fixture(scope="module")
def image(laptop):
    """The name of an image that has just been baked."""
    name = laptop.json("image", "bake", NAME, "--json")["image"]
    yield name
    laptop.run("terminate", "--yes", "mycluster", status=None)
    assert f">>> {name} is gone" in laptop.run("image", "remove", "--yes", name).stdout
    assert name not in [found["name"] for found in laptop.json("image", "list", "--json")]


def said_in(api, image: str, command: str) -> str:
    """What a shell says in a container of an image that has none of our processes."""
    made = api.create_container(image, ["sh", "-c", command])["Id"]
    try:
        api.start(made)
        api.wait(made, timeout=60)
        return api.logs(made).decode()
    finally:
        api.remove_container(made, force=True)


def test_the_builder_is_gone_and_a_second_bake_finds_all_of_it_there(laptop, image):
    assert laptop.json("list", "--json") == []
    again = laptop.json("image", "bake", NAME, "--json")
    assert (again["image"], again["new"]) == (image, False)
    assert image in [found["name"] for found in laptop.json("image", "list", "--json")]


def test_the_packages_are_on_it_and_nothing_of_its_builder(image, docker_api):
    assert "msgpack" in said_in(docker_api, image, "/opt/clusterctl/env/bin/python -c 'import msgpack; print(msgpack)'")
    assert "/usr/bin/less" in said_in(docker_api, image, "command -v less")
    left = said_in(
        docker_api,
        image,
        "ls /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/* /root/.cache 2>/dev/null;"
        " ls /var/lib/clusterctl/services 2>/dev/null; ls /var/lib/apt/lists; cat /etc/machine-id;"
        " find /var/log /tmp -type f; getent passwd iptest",
    )
    assert left == ""


def test_start_takes_it_and_installs_nothing(laptop, image):
    done = laptop.run("start", "mycluster", timeout=300)
    assert f"Using the baked image {image}" in done.stdout
    nodes = laptop.json("list", "--json", "mycluster")[0]["nodes"]
    assert {node["type"] for node in nodes} == {image}
    keys = set(
        laptop.run(
            "exec", "mycluster", "cat /etc/ssh/ssh_host_ed25519_key.pub; cat /etc/machine-id"
        ).stdout.splitlines()
    )
    assert len(keys) == 4, "each node has its own"
    log = (laptop.home / "clusters" / "mycluster" / "logs" / "master.log").read_text()
    assert not re.search(r"Setting up less|Installed \d+ packages", log)
    assert (
        "msgpack"
        in laptop.run("exec", "mycluster", "/opt/clusterctl/env/bin/python -c 'import msgpack; print(msgpack)'").stdout
    )
