"""An instance as who gives it a body needs to know it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .describe import tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..cloud import Cloud
    from .lives import Life


@dataclass(frozen=True)
class Disk:
    """One attached volume."""

    device: str
    volume: str
    size_gb: int


@dataclass(frozen=True)
class Machine:
    """What a hypervisor and a metadata service tell of an instance. `state` is where it is, or on its way to."""

    id: str
    region: str
    zone: str
    state: str
    instance_type: str
    vcpus: int
    memory_mib: int
    image: str
    image_name: str
    image_source: str
    """The instance that its image was made of; empty where it is none that was made here."""
    images: tuple[str, ...]
    """The images that were made of it."""
    private_address: str
    public_address: str
    mac: str
    subnet: str
    network: str
    market: str
    launched: datetime
    answers_at: datetime | None
    """Before this its SSH server lets nobody in; None where it may at once."""
    launch_index: int
    key_name: str
    public_key: str
    user_data: bytes
    tags: Mapping[str, str]
    disks: tuple[Disk, ...]
    metadata: Mapping[str, str | int]
    notice: datetime | None
    reboots: int

    @property
    def runs(self) -> bool:
        """Whether its body should be up."""
        return self.state == "running"


def _public_key(backend: Any, name: str | None) -> str:
    """The public half of a key pair, in OpenSSH's words; empty without one, or where it is deleted by now."""
    pair = backend.key_pairs.get(name)
    return "" if pair is None else str(pair.public_key).strip()


def machine_of(cloud: Cloud, life: Life) -> Machine:
    """The machine of an instance."""
    it, backend = life.instance, life.instance.ec2_backend
    nic = it.nics[0]
    image = backend.amis.get(it.image_id)
    options = it.metadata_options
    return Machine(
        id=life.id,
        region=life.region,
        zone=it.placement.zone,
        state=life.settled,
        instance_type=life.kind.name,
        vcpus=life.kind.vcpus,
        memory_mib=life.kind.memory_mib,
        image=it.image_id,
        image_name=image.name if image else "",
        image_source=cloud.sources.get(it.image_id, ""),
        images=tuple(made for made, source in cloud.sources.items() if source == life.id),
        private_address=nic.private_ip_address,
        public_address=nic.public_ip or "",
        mac=nic.mac_address,
        subnet=nic.subnet.id,
        network=nic.subnet.cidr_block,
        market=life.market,
        launched=it.launch_time,
        answers_at=life.answers_at,
        launch_index=it.ami_launch_index,
        key_name=it.key_name or "",
        public_key=_public_key(backend, it.key_name),
        user_data=base64.b64decode(str(it.user_data)) if it.user_data is not None else b"",
        tags=dict(tags_of(life)),
        disks=tuple(
            Disk(device, disk.volume_id, backend.volumes[disk.volume_id].size)
            for device, disk in it.block_device_mapping.items()
            if disk.volume_id in backend.volumes
        ),
        metadata={
            "http_tokens": options.http_tokens,
            "http_put_response_hop_limit": options.http_put_response_hop_limit,
            "http_endpoint": options.http_endpoint,
            "instance_metadata_tags": options.instance_metadata_tags,
        },
        notice=life.notice,
        reboots=cloud.reboots[life.id],
    )
