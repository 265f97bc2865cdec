"""What the tests on a real engine share: a provider, the cluster's key, and nodes."""

from __future__ import annotations

from dataclasses import replace

import paramiko
import pytest

from clusterctl.identity.keys import new_key_pair

from ....support.provider_contract import plan_for


@pytest.fixture(scope="module")
def key_pair():
    return new_key_pair("tests")


@pytest.fixture
def key(key_pair, tmp_path):
    path = tmp_path / "id"
    path.write_text(key_pair[0].reveal())
    return paramiko.Ed25519Key.from_private_key_file(path)


@pytest.fixture
def provider(docker_provider):
    return docker_provider


@pytest.fixture
def ended_by_itself(docker_api):
    """Whether a stopped node's main process let its services end and left; an engine that waits in vain kills it."""
    return lambda node: docker_api.inspect_container(node.id.split("@")[0])["State"]["ExitCode"] == 143


@pytest.fixture
def make(provider, key_pair):
    def make(*aliases, **changes):
        plan = plan_for(*aliases, provider="docker")
        fields = {name: changes.pop(name) for name in ("vcpus", "memory_gb") if name in changes}
        nodes = tuple(replace(spec, **fields) for spec in plan.nodes)
        return provider.create(replace(plan, nodes=nodes, user="me", **changes), public_key=key_pair[1])

    return make
