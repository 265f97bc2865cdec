"""Fixtures of pytest: `pytest_plugins = ["clusterctl_standin.fixtures"]` in a conftest.py gives them to a project."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bodies.containers import Containers
    from .cloud import Cloud

# moto and docker take a second to load: only who asks for a cloud or a body waits for them.


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A cloud of this test's own, empty at the beginning. Whatever uses AWS's libraries meanwhile talks to it.

    The developer's own account stays out of it: settings and profiles of it are hidden.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    from .cloud import Cloud

    with Cloud() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture(scope="module")
def bodies() -> Iterator[Containers]:
    """A cloud of this module's own, empty at the beginning. Its bodies are gone afterwards, whatever happened.

    The environment stays as it is: `bodies.cloud.environment()` is what a program needs.
    """
    from .bodies.containers import Containers
    from .cloud import Cloud

    _skip_without_engine()
    if os.geteuid() != 0:
        pytest.skip("docker: only root may bind the address of the metadata service")
    with Cloud() as made, Containers(made) as containers:
        yield containers


def _skip_without_engine() -> None:
    import docker
    from docker.errors import DockerException

    try:
        with closing(docker.from_env(timeout=10)) as engine:
            engine.ping()
    except DockerException as exc:
        pytest.skip(f"docker: no engine answers: {exc}")
