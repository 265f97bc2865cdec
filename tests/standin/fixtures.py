"""A cloud whose instances have bodies, for the tests that log in to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bodies.containers import Containers


@pytest.fixture(scope="module")
def bodies(docker_api) -> Iterator[Containers]:
    """A cloud of this module's own, empty at the beginning. Its bodies are gone afterwards, whatever happened."""
    # moto takes a second to load: only who asks for this waits for it.
    from .bodies.containers import Containers
    from .cloud import Cloud

    if os.geteuid() != 0:
        pytest.skip("docker: only root may bind the address of the metadata service")
    with Cloud() as cloud, Containers(cloud) as containers:
        yield containers
