"""Three containers with systemd and cloud-init as hosts of clusters by the `static` provider.

They are instances of the stand-in for EC2, which gives each a body that boots as a machine does. Nothing else is asked
of the cloud.
"""

from __future__ import annotations

import pytest
from clusterctl_standin.bodies.waiting import until

from clusterctl.identity.keys import new_key_pair

from .hosts import LOGIN, Host, Hosts
from .qemu import listens

COUNT = 3
_IMAGE = "/aws/service/debian/release/12/latest/amd64"
_USER_DATA = """#cloud-config
ssh_keys:
  ed25519_private: |
{private}
  ed25519_public: {public}
users:
  - name: {login}
    shell: /bin/bash
    lock_passwd: true
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: ['{login_key}']
bootcmd:
  # The bodies of one cluster share two folders. Hosts share their homes alone.
  - umount /var/cache/clusterctl
"""


def _launch(bodies, number: int, login_key: str) -> Host:
    private, public = new_key_pair(f"host{number}")
    indented = "\n".join(f"    {line}" for line in private.reveal().splitlines())
    text = _USER_DATA.format(private=indented, public=public, login=LOGIN, login_key=login_key)
    image = bodies.cloud.client("ssm").get_parameter(Name=_IMAGE)["Parameter"]["Value"]
    tags = [{"Key": "clusterctl:cluster", "Value": "hosts"}]
    (instance,) = bodies.cloud.client("ec2").run_instances(
        ImageId=image,
        InstanceType="c7i.large",
        MinCount=1,
        MaxCount=1,
        UserData=text,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]
    return Host(f"host{number}", instance["PrivateIpAddress"], public)


@pytest.fixture(scope="module")
def systemd_hosts(bodies, tmp_path_factory):
    """Three hosts that answer and share their homes."""

    def begin(login_key: str) -> list[Host]:
        made = [_launch(bodies, number, login_key) for number in range(COUNT)]
        bodies.settle()
        for host in made:
            until(lambda host=host: listens(host.address), f"{host.name} answers")
        return made

    hosts = Hosts(tmp_path_factory.mktemp("hosts"), begin)
    hosts.everywhere("cloud-init status --wait >/dev/null")
    return hosts
