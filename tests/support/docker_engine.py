"""What tests on a Docker engine share: the image of nodes, built once a computer from a root file system."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from clusterctl_standin.bodies.cache import CERTIFICATES, one_at_a_time, remove_others, root_file_system

from clusterctl.events import SILENT
from clusterctl.journal import ClusterFolder
from clusterctl.providers.docker import DockerProvider
from clusterctl.providers.docker.engine import Engine
from clusterctl.providers.docker.images import find_image
from clusterctl.providers.images import ImageSource

AMI = Path(__file__).parents[2] / "ami"


@pytest.fixture(scope="session")
def docker_api():
    """The engine's client."""
    engine = Engine(os.environ)
    trouble = engine.find_problem()
    if trouble:
        pytest.skip(f"docker: {trouble.message}")
    return engine.api


@pytest.fixture(scope="session")
def docker_image(docker_api):
    """The name of an image for nodes: set NODE_IMAGE_ID to it."""
    return node_image(docker_api)


def node_image(api):
    """See `docker_image`."""
    content = hashlib.sha256()
    for path in [*sorted(path for path in AMI.rglob("*") if path.is_file() and path.suffix != ".pyc"), *CERTIFICATES]:
        content.update(path.read_bytes())
    name = f"clusterctl-node-test:{content.hexdigest()[:12]}"
    with one_at_a_time("node-image"):
        if find_image(api, name) is None:
            source = ImageSource(rootfs=root_file_system(), certificates=tuple(CERTIFICATES), name=name)
            DockerProvider(os.environ, owner="tests", journal=no_journal).build_image(source, SILENT)
            remove_others(api, name)
    return name


@pytest.fixture(scope="session")
def docker_image_with_lists(docker_api, docker_image):
    """The same image with today's lists of system packages, which take longer to get than the packages themselves.

    For tests that want packages and do not care where the lists come from: others show that nodes get them.
    """
    repository, _, tag = docker_image.partition(":")
    today = datetime.now(timezone.utc)
    name, before = (f"{repository}-lists:{tag}-{day:%Y%m%d}" for day in (today, today - timedelta(days=1)))
    with one_at_a_time("node-image"):
        if find_image(docker_api, name) is None:
            definition = io.BytesIO(f"FROM {docker_image}\nRUN apt-get update -qq\n".encode())
            said = b"".join(docker_api.build(fileobj=definition, tag=name, rm=True, nocache=True))
            assert find_image(docker_api, name) is not None, said
            remove_others(docker_api, name, before)  # at midnight other tests have begun with that
    return name


def no_journal(cluster):
    """For what asks for no cluster."""
    raise AssertionError(f"the journal of {cluster} was asked for")


@pytest.fixture
def docker_provider(docker_image, tmp_path_factory):
    """A provider whose nodes nobody else sees. All that it made is gone afterwards."""
    home = tmp_path_factory.mktemp("journals")

    def journal(cluster):
        folder = ClusterFolder(home, cluster)
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    owner = f"test-{secrets.token_hex(4)}"
    provider = DockerProvider(os.environ, owner=owner, journal=journal, cache="test", image=docker_image)
    yield provider
    for cluster in {node.cluster for node in provider.nodes()}:
        provider.destroy(cluster)


def things_of(api, owner: str) -> list[str]:
    """Every container, network and volume with this owner's label."""
    only = {"label": f"clusterctl.owner={owner}"}
    found = [name for container in api.containers(all=True, filters=only) for name in container["Names"]]
    found += [network["Name"] for network in api.networks(filters=only)]
    return found + [volume["Name"] for volume in api.volumes(filters=only)["Volumes"] or []]
