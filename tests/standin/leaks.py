"""What is still there and would cost money or be in the way: for the end of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cloud import Cloud


def left(cloud: Cloud, region: str) -> Iterator[str]:
    """One line for each thing of a region that its maker should have ended. What a new account has does not count."""
    backend = cloud.moto.backend("ec2", region)
    for life in cloud.lives.of(region):
        if life.settled != "terminated":
            yield f"{region} instance {life.id} {life.settled}"
    for one in cloud.spot:
        if one.life.region == region and one.state in ("open", "active"):
            yield f"{region} spot request {one.id} {one.state}"
    for fleet in cloud.fleets.values():
        if fleet.region == region and fleet.state == "active" and _runs(fleet):
            yield f"{region} fleet {fleet.id} active"
    for template in backend.launch_templates.values():
        yield f"{region} launch template {template.id} {template.name}"
    for by_id in backend.groups.values():
        for group in by_id.values():
            if group.name != "default":
                yield f"{region} security group {group.id} {group.name}"
    for volume in backend.volumes.values():
        yield f"{region} volume {volume.id} {volume.status}"
    for group in cloud.placement_groups.values():
        if group.region == region:
            yield f"{region} placement group {group.name}"
    for name in backend.key_pairs:
        yield f"{region} key pair {name}"
    for nic in backend.enis.values():
        yield f"{region} network interface {nic.id}"


def _runs(fleet: object) -> bool:
    return any(life.settled != "terminated" for life in fleet.lives)  # type: ignore[attr-defined]
