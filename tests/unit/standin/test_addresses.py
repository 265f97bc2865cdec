"""The cloud gives the address of an ended instance on at once; its container may still be going."""

from __future__ import annotations

import pytest
from clusterctl_standin.bodies.container import _start
from docker.errors import APIError


class Container:
    def __init__(self, *errors):
        self.errors = list(errors)

    def start(self):
        if self.errors:
            raise APIError(self.errors.pop(0))


def test_a_body_waits_for_its_address():
    container = Container("Address already in use")
    assert [_start(container), _start(container)] == [False, True]


def test_any_other_trouble_is_told():
    with pytest.raises(APIError, match="no room"):
        _start(Container("no room"))
