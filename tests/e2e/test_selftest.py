"""`clusterctl selftest ec2`, the shipped program, on the stand-in for EC2 with containers as its instances."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]
CONFIG = """
[cluster standin]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
CLUSTER_USER = iptest
ADDRESS = private
ALLOW_FROM = 192.0.2.7/32
SHARED_HOME = yes
"""
"""What cannot hold on containers is said by options: they are reached at their own addresses, which nobody filters, and
share their homes, having no kernel of their own for NFS."""


@pytest.fixture
def laptop(bodies, new_laptop):
    made = new_laptop(more=bodies.cloud.environment())
    made.home.mkdir()
    (made.home / "config").write_text(CONFIG)
    return made


def test_all_is_as_promised_and_nothing_is_left(laptop, bodies):
    said = laptop.run("selftest", "ec2", "--yes", "-c", "standin", status=None, timeout=1500)
    assert "FAILED" not in said.stdout, said.stdout + said.stderr
    assert said.returncode == 0
    assert said.stdout.count("\nok ") >= 18
    # Bodies are reached at private addresses, and AWS's own service for addresses is not asked.
    unproven = "SSH is open to the address that AWS sees of this computer"
    assert f"nothing failed; not proven: {unproven}\n" in said.stdout
    assert bodies.cloud.left() == []
    assert list(laptop.home.glob("clusters/*")) == []
