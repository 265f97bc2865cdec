"""What the metadata service of an instance tells, as a tree: paths and values as "Instance metadata categories" of the
EC2 user guide lists them, as far as something on a node may ask. No credentials: roles have no bodies."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Union

from .seeds import hostname

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..instances.machine_view import Machine

Tree = dict[str, Union[str, "Tree"]]
ACCOUNT = "123456789012"
_BEFORE_THE_END = timedelta(seconds=120)


def read(tree: Tree, path: str) -> str | None:
    """A value, or the names in a folder as the service lists them; None where there is nothing."""
    found: str | Tree = tree
    for part in path.strip("/").split("/"):
        if not part:
            continue
        if isinstance(found, str) or part not in found:
            return None
        found = found[part]
    if isinstance(found, str):
        return found
    return "\n".join(f"{name}/" if isinstance(below, dict) else name for name, below in found.items())


def metadata(machine: Machine, *, rebalance: datetime | None = None) -> Tree:
    """Everything below /latest/meta-data/. `rebalance` is when a rebalance was recommended, if it was."""
    name = f"{hostname(machine)}.{_domain(machine.region)}"
    tree: Tree = {
        "ami-id": machine.image,
        "ami-launch-index": str(machine.launch_index),
        "block-device-mapping": _block_devices(machine),
        "hostname": name,
        "instance-id": machine.id,
        "instance-life-cycle": "spot" if machine.market == "spot" else "on-demand",
        "instance-type": machine.instance_type,
        "local-hostname": name,
        "local-ipv4": machine.private_address,
        "mac": machine.mac,
        "network": {"interfaces": {"macs": {machine.mac: _interface(machine)}}},
        "placement": {"availability-zone": machine.zone, "region": machine.region},
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if machine.public_address:
        tree["public-ipv4"] = machine.public_address
    if machine.public_key:
        # The list of keys is the one place where a name has a number before it.
        tree["public-keys"] = {"0": {"openssh-key": machine.public_key}}
    if machine.metadata["instance_metadata_tags"] == "enabled":
        tree["tags"] = {"instance": dict(machine.tags)}
    return {**tree, **_end(machine, rebalance)}


def identity(machine: Machine) -> str:
    """The instance identity document, without the signature that only Amazon can make."""
    return json.dumps(
        {
            "accountId": ACCOUNT,
            "architecture": "x86_64",
            "availabilityZone": machine.zone,
            "imageId": machine.image,
            "instanceId": machine.id,
            "instanceType": machine.instance_type,
            "pendingTime": f"{machine.launched:%Y-%m-%dT%H:%M:%SZ}",
            "privateIp": machine.private_address,
            "region": machine.region,
            "version": "2017-09-30",
        },
        indent=2,
    )


def _end(machine: Machine, rebalance: datetime | None) -> Tree:
    """What foretells the end of a spot instance. A recommendation comes with the notice at the latest."""
    found: Tree = {}
    if machine.notice:
        at = f"{machine.notice:%Y-%m-%dT%H:%M:%SZ}"
        found["spot"] = {"instance-action": json.dumps({"action": "terminate", "time": at}), "termination-time": at}
    recommended = rebalance or (machine.notice and machine.notice - _BEFORE_THE_END)
    if recommended:
        said = json.dumps({"noticeTime": f"{recommended:%Y-%m-%dT%H:%M:%SZ}"})
        found["events"] = {"recommendations": {"rebalance": said}}
    return found


def _block_devices(machine: Machine) -> Tree:
    root, *others = [disk.device for disk in machine.disks] or ["/dev/xvda"]
    return {"ami": root, "root": root, **{f"ebs{n}": device for n, device in enumerate(others, start=1)}}


def _interface(machine: Machine) -> Tree:
    found: Mapping[str, str] = {
        "device-number": "0",
        "local-ipv4s": machine.private_address,
        "mac": machine.mac,
        "public-ipv4s": machine.public_address,
        "subnet-id": machine.subnet,
        "subnet-ipv4-cidr-block": machine.network,
    }
    return {name: value for name, value in found.items() if value}


def _domain(region: str) -> str:
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
