"""Three virtual machines as hosts of clusters by the `static` provider."""

from __future__ import annotations

import pytest

from . import vms
from .hosts import Hosts

COUNT = 3


@pytest.fixture(scope="module")
def virtual_lab(vm_image, tmp_path_factory):
    """Three machines that answer, as a cloud would give them."""
    folder = tmp_path_factory.mktemp("vms")
    with vms.Lab(folder, vm_image) as lab:
        yield Hosts(folder, lambda public_key: lab.start(COUNT, public_key))
