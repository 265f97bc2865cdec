"""What the plugins for machines do to real systems: containers.

CLUSTERCTL_TEST_IMAGE names the image to make them of (Debian, with openssh-server and sudo), else it is the one that
all tests of containers share.
"""

from __future__ import annotations

import os
import subprocess

import pytest

from ..support.machine_lab import Lab


@pytest.fixture(scope="module")
def image(request):
    if subprocess.run(["sh", "-c", "docker version"], capture_output=True).returncode != 0:
        pytest.skip("docker: no engine answers, or there is no docker command")
    return os.environ.get("CLUSTERCTL_TEST_IMAGE") or request.getfixturevalue("docker_image")


@pytest.fixture(scope="module")
def image_with_lists(request):
    """For tests that want packages and do not care where the lists come from."""
    return os.environ.get("CLUSTERCTL_TEST_IMAGE") or request.getfixturevalue("docker_image_with_lists")


@pytest.fixture
def lab(image, tmp_path):
    made = Lab(tmp_path / "laptop", image)
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path):
    """A loop device, which is this computer's: containers see it once it is given to them."""
    disks = []

    def make(size="300M", partitions=0):
        file = tmp_path / f"disk{len(disks)}"
        subprocess.run(["truncate", "-s", size, file], check=True)
        made = subprocess.run(["losetup", "-P", "-f", "--show", file], capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"docker: no loop devices here: {made.stderr.strip()}")
        disks.append(made.stdout.strip())
        for number in range(1, partitions + 1):
            # Told to the kernel alone: not every kernel reads the table of a loop device.
            where = [str(number), str(2048 + 204800 * (number - 1)), "204800"]
            subprocess.run(["addpart", disks[-1], *where], check=True)
        return disks[-1]

    yield make
    for each in disks:
        subprocess.run(["losetup", "-d", each], check=True)
