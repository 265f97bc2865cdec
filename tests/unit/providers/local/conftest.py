"""A provider of nodes on this computer, and sessions on them."""

from __future__ import annotations

import contextlib
import os

import paramiko
import pytest

from clusterctl.identity.keys import new_key_pair
from clusterctl.providers.local import LocalProvider

from ....support.local_nodes import connect
from ....support.provider_contract import plan_for


@pytest.fixture
def root(tmp_path):
    return tmp_path / "local"


@pytest.fixture
def provider(root):
    local = LocalProvider(root, os.environ)
    yield local
    for node in local.nodes():
        local.destroy(node.cluster)


@pytest.fixture(scope="module")
def key_pair():
    return new_key_pair("tests")


@pytest.fixture
def key(key_pair, tmp_path):
    path = tmp_path / "id"
    path.write_text(key_pair[0].reveal())
    return paramiko.Ed25519Key.from_private_key_file(path)


@pytest.fixture
def start(provider, key_pair):
    def start(*aliases, cluster="lab"):
        return provider.create(plan_for(*aliases, cluster=cluster), public_key=key_pair[1])

    return start


@pytest.fixture
def login(key):
    with contextlib.ExitStack() as opened:
        yield lambda node, **options: opened.enter_context(connect(node, **{"pkey": key, **options}))
