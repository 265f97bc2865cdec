"""One instance's container: made, booted, shut down, removed. The only file here that asks a Docker engine for one."""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, NotFound

from .booting import late_server
from .leftovers import INSTANCE, LABEL
from .seeds import hostname, seed
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient
    from docker.models.containers import Container

    from ..instances.machine_view import Machine
    from .disks import Shelf
    from .subnet import Subnet

CLUSTER_TAG = "clusterctl:cluster"
"""Instances with the same value of this tag share their homes."""
_CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "SYS_BOOT", "SYS_PTRACE", "SYS_NICE", "SYSLOG", "SYS_TTY_CONFIG", "MKNOD"),
    *("DAC_READ_SEARCH", "LINUX_IMMUTABLE", "IPC_LOCK", "LEASE", "AUDIT_CONTROL", "AUDIT_READ"),
)
"""What root of a machine may do. Not `--privileged`: some engines may not give all of that themselves."""
_SECURITY = ("seccomp=unconfined", "apparmor=unconfined")
_SHUTDOWN_S = 30


@dataclass(frozen=True)
class Setup:
    """What all bodies of a run have in common. `cores` is how many each of them sees."""

    run: str
    image: str
    network: str
    subnet: Subnet
    cores: int = 1


class ContainerMaker:
    """Makes containers of what the cloud says of instances."""

    def __init__(self, engine: DockerClient, setup: Setup, shelf: Shelf) -> None:
        self._engine = engine
        self._shelf = shelf
        self._setup = setup
        self._turn = 0
        self.told: set[str] = set()
        """Instances whose containers were told to shut down: they did not do so by themselves."""

    def find(self, instance_id: str) -> Container | None:
        """The container of an instance, running or not."""
        found = self._engine.containers.list(
            all=True, filters={"label": f"{INSTANCE}={instance_id}"}, ignore_removed=True
        )
        return found[0] if found else None

    def ids(self) -> list[str]:
        """The instances that have containers."""
        ours = f"{LABEL}={self._setup.subnet.network}"
        found = self._engine.containers.list(all=True, filters={"label": [INSTANCE, ours]}, ignore_removed=True)
        return [container.labels[INSTANCE] for container in found]

    def switch_on(self, machine: Machine) -> None:
        """Make the container if there is none, and boot it."""
        container = self.find(machine.id) or self._make(machine)
        files = {f"var/lib/cloud/seed/nocloud/{name}": content for name, content in seed(machine).items()}
        container.put_archive("/", _packed({**files, **self._disks(machine), **late_server(machine)}))
        until(lambda: _start(container), f"the address of {machine.id} is free")

    def switch_off(self, machine: Machine) -> None:
        """Shut it down as its owner would; the disk stays."""
        container = self.find(machine.id)
        if container and container.status == "running":
            self.told.add(machine.id)
            container.stop(timeout=_SHUTDOWN_S)

    def reboot(self, machine: Machine) -> None:
        """Boot again what runs; a machine whose power failed stays off."""
        container = self.find(machine.id)
        if container and container.status == "running":
            self.told.add(machine.id)
            container.restart(timeout=_SHUTDOWN_S)

    def remove(self, machine: Machine) -> None:
        """End the container, and its disk with it."""
        if container := self.find(machine.id):
            with suppress(NotFound):
                container.remove(force=True, v=True)
        self._shelf.give(machine.id, ())

    def set_disks(self, machine: Machine) -> None:
        """Show the data volumes that the machine has now, as udev would."""
        container, files = self.find(machine.id), self._disks(machine)
        if container and container.status == "running":
            container.put_archive("/", _packed(files))
            shown = container.exec_run("body-disks")
            assert shown.exit_code == 0, f"{machine.id}: {shown.output.decode(errors='replace')}"

    def save(self, machine: Machine) -> None:
        """Make an image of the container, which keeps its label and so is found when all is removed."""
        container = self.find(machine.id)
        assert container, f"{machine.id} has no container to make an image of"
        container.commit(*_image_of(machine.id, machine.images[-1]))

    def _disks(self, machine: Machine) -> dict[str, bytes]:
        """The file that says which data volumes are plugged in. The root volume is the container's own disk."""
        plugged = self._shelf.give(machine.id, machine.disks[1:])
        return {"var/lib/body/disks": "".join(each.line for each in plugged).encode()}

    def _make(self, machine: Machine) -> Container:
        setup = self._setup
        network = setup.subnet.network
        inside = ip_address(machine.private_address) in ip_network(network)
        assert inside, f"{machine.id} was launched into no subnet of {network}: moto gave it {machine.private_address}"
        api = self._engine.api
        made = api.create_container(
            self._image(machine),
            name=f"clusterctl-{setup.run}-{machine.id}",
            hostname=hostname(machine),
            labels={LABEL: network, INSTANCE: machine.id},
            environment={"BODY_CGROUP": f"clusterctl-{setup.run}-{machine.id}"},
            # A console, which `docker logs` shows.
            tty=True,
            host_config=self._host_config(machine),
            networking_config=api.create_networking_config(
                {setup.network: api.create_endpoint_config(ipv4_address=machine.private_address)}
            ),
        )
        return self._engine.containers.get(made["Id"])

    def _image(self, machine: Machine) -> str:
        if not machine.image_source:
            return self._setup.image
        name = ":".join(_image_of(machine.image_source, machine.image))
        until(lambda: self._engine.images.list(name), f"the image {name}")
        return name

    def _host_config(self, machine: Machine) -> dict[str, Any]:
        """What this body may do and sees of this computer."""
        made = self._engine.api.create_host_config(
            network_mode=self._setup.network,
            cap_add=list(_CAPABILITIES),
            security_opt=list(_SECURITY),
            device_cgroup_rules=["b *:* rwm"],
            cpuset_cpus=self._cores(),
            shm_size="1g",
            tmpfs={"/run": "exec"},
            binds=self._volumes(machine),
        )
        # The SDK has no words for a control group namespace of its own, and for a /proc of which nothing is hidden.
        return {**made, "CgroupnsMode": "private", "MaskedPaths": [], "ReadonlyPaths": []}

    def _cores(self) -> str:
        """Which of this computer's cores it has: each the next ones."""
        here = os.cpu_count() or 1
        first = self._turn
        self._turn += self._setup.cores
        return ",".join(str((first + number) % here) for number in range(min(self._setup.cores, here)))

    def _volumes(self, machine: Machine) -> dict[str, dict[str, str]]:
        """What the bodies of one cluster share: their homes, and what they have downloaded."""
        cluster = machine.tags.get(CLUSTER_TAG)
        if not cluster:
            return {}
        shared = {}
        for folder in ("/home", "/var/cache/clusterctl"):
            name = f"clusterctl-{self._setup.run}-{cluster}-{folder.rpartition('/')[2]}"
            self._engine.volumes.create(name, labels={LABEL: self._setup.subnet.network})
            shared[name] = {"bind": folder, "mode": "rw"}
        return shared


def _start(container: Container) -> bool:
    """Start a container, unless another one that is going still has its address: the cloud gives it on before that."""
    try:
        container.start()
    except APIError as exc:
        if "already in use" not in str(exc):
            raise
        return False
    return True


def _image_of(source: str, image: str) -> tuple[str, str]:
    """Repository and tag of the image of a container."""
    return f"clusterctl-body-of-{source}", image


def _packed(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
