"""A stand-in for EC2, and the account as the program sees it."""

from __future__ import annotations

import threading

import pytest
from clusterctl_standin.cloud import KEY, Cloud

from clusterctl.providers.ec2.aws import Aws, Credentials
from clusterctl.providers.ec2.pricing.background import THREAD
from clusterctl.secret import Secret

from ....support.ec2_lab import Ec2Lab, hurry
from ....support.shared_boto import shared_boto


@pytest.fixture
def cloud(request):
    """Empty at the beginning of each test. A parameter "http" gives it a port, which takes longer."""
    with Cloud(port=getattr(request, "param", "") == "http") as standin:
        yield standin


@pytest.fixture(scope="session")
def boto():
    """What all accounts of these tests share."""
    return shared_boto()


@pytest.fixture
def aws(cloud, monkeypatch, boto):
    """The stand-in's account, seen from us-east-1. Nothing is waited for."""
    hurry(monkeypatch)
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    account = boto.lend(Aws("us-east-1", Credentials(access_key_id=KEY, secret_access_key=Secret("standin"))))
    yield account
    for thread in threading.enumerate():  # a call that nobody waited for asks this cloud, and not the next test's
        if thread.name == THREAD:
            thread.join(10)
    boto.take_back(cloud.calls)


@pytest.fixture
def lab(tmp_path, aws, cloud):
    """A laptop with the provider, and the cloud."""
    return Ec2Lab(tmp_path / "laptop", aws, cloud)
