"""The stand-in for the tests of it, and what a launch needs."""

from __future__ import annotations

import pytest
from clusterctl_standin.cloud import Cloud
from clusterctl_standin.fixtures import bodies  # noqa: F401  fixture

from ...support.launcher import Launcher

DEBIAN = "/aws/service/debian/release/12/latest/amd64"


@pytest.fixture
def cloud(allow_loopback):
    """A cloud of its own for each test, empty at the beginning."""
    with Cloud() as standin:
        yield standin


@pytest.fixture
def ec2(cloud):
    """A client as the program under test has one: through the faults, and recorded."""
    return cloud.client("ec2", straight=False)


@pytest.fixture
def launcher(cloud, ec2):
    image = cloud.client("ssm").get_parameter(Name=DEBIAN)["Parameter"]["Value"]
    return Launcher(ec2, image)
