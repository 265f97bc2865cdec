"""Providers are found by their name, and tell whether they have images."""

from __future__ import annotations

import pytest

from clusterctl.errors import UsageError
from clusterctl.providers.docker import DockerProvider
from clusterctl.providers.local import LocalProvider
from clusterctl.wiring import providers


def test_local_and_docker_are_there():
    assert isinstance(providers.make_provider("local"), LocalProvider)
    assert isinstance(providers.make_provider("docker"), DockerProvider)


def test_one_that_is_not_in_this_version_says_which_are():
    with pytest.raises(UsageError, match="provider gce is not in this version") as caught:
        providers.make_provider("gce")
    assert "local" in caught.value.remedy


def test_only_docker_has_images_and_builds_them():
    assert list(providers.image_providers()) == ["docker"]
    assert isinstance(providers.base_image_provider(), DockerProvider)
