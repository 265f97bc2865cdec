"""The stand-in for the tests of it."""

from __future__ import annotations

import pytest

from .cloud import Cloud


@pytest.fixture
def cloud(allow_loopback):
    """A cloud of its own for each test, empty at the beginning."""
    with Cloud() as standin:
        yield standin


@pytest.fixture
def session(cloud, monkeypatch):
    """boto3 as a program finds it whose environment is the stand-in's: through the faults, and recorded."""
    import boto3

    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


@pytest.fixture
def ec2(session):
    return session.client("ec2")
