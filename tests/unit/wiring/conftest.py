"""A laptop whose only provider, under the name of local, is a fake."""

from __future__ import annotations

import pytest

from clusterctl.wiring import local_paths, providers


@pytest.fixture
def home():
    return local_paths.home_folder()


@pytest.fixture
def fake(lab, monkeypatch):
    """The only provider there is."""
    lab.provider.name = "local"
    lab.home = local_paths.home_folder()
    monkeypatch.setitem(providers._PROVIDERS, "local", lambda _: lab.provider)
    return lab
