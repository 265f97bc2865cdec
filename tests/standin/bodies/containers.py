"""Bodies that are containers: systemd, cloud-init and an SSH server, each at its instance's own private address.

A body boots as a machine does: real cloud-init reads the user data before the SSH server lets anybody in, `reboot`
and `poweroff` in it work, and its disk outlives a stop. It shares the kernel, the clock and the cores of this computer,
and as that kernel may have no NFS, the bodies of one cluster share their /home, as they would one of Amazon's file
systems.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import docker
from docker.types import IPAMConfig, IPAMPool

from .container import ContainerMaker, Setup
from .disks import Shelf
from .image import body_image
from .leftovers import INSTANCE, LABEL, remove_containers
from .metadata import Metadata
from .outside import close_ways, from_outside
from .reconciler import Reconciler
from .subnet import SUBNETS, claimed, leave_out
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient
    from docker.models.containers import Container

    from ..cloud import Cloud
    from .subnet import Subnet

_ANSWER_S = 120
_CONNECTIONS = 32
_REBOOTED, _HALTED = 129, 130
"""How a container ends whose init asked the kernel for it."""


class Containers:
    """Gives every instance of a cloud a container, as long as the context lasts; nothing is left of them afterwards.

    `cloud` is the cloud, `metadata` the metadata service that all of them have.

    Args:
        cloud: the stand-in.
        cores: how many of them a body sees.
    """

    def __init__(self, cloud: Cloud, *, cores: int = 1) -> None:
        self.cloud = cloud
        self._cores = cores

    def __enter__(self) -> Containers:
        with ExitStack() as stack:
            self.engine = docker.from_env(timeout=_ANSWER_S, max_pool_size=_CONNECTIONS)
            stack.callback(self.engine.close)
            self.subnet = stack.enter_context(claimed(leave_out(_find_others(self.engine)) or SUBNETS))
            self.cloud.moto.network = self.subnet.network
            remove_containers(self.engine, self.subnet)  # what a run that was killed has left
            close_ways(self.subnet)
            stack.callback(remove_containers, self.engine, self.subnet)
            run = secrets.token_hex(3)
            self.bridge = f"ec2b{run}"
            image, network = body_image(self.engine), _make_network(self.engine, self.bridge, self.subnet)
            setup = Setup(run, image, network, self.subnet, self._cores)
            self.metadata = stack.enter_context(Metadata(self.cloud, self.bridge))
            self._maker = ContainerMaker(self.engine, setup, stack.enter_context(Shelf(self.subnet)))
            self._bodies = Reconciler(self.cloud, self._maker)
            self._watch_power(stack)
            stack.callback(self._bodies.close)
            self.cloud.on_change(self._bodies.look)
            self.cloud.consoles = _Consoles(self._maker)
            self._bodies.look()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def settle(self, deadline_s: float = 300.0) -> None:
        """Wait until every body is as the cloud says, and raise what went wrong on the way. It may still be booting."""
        self._bodies.settle(deadline_s)

    def container_of(self, instance_id: str) -> Container:
        """The container of an instance: for what Docker can tell or do about it."""
        self.settle()
        container = self._maker.find(instance_id)
        assert container, f"{instance_id} has no container"
        return container

    def shell(self, instance_id: str, command: str) -> str:
        """What a command prints that root runs in a body, without SSH; it must succeed."""
        done = self.container_of(instance_id).exec_run(["sh", "-c", command])
        said = done.output.decode(errors="replace")
        assert done.exit_code == 0, f"{instance_id}: {command}: {said}"
        return said.strip()

    def console(self, instance_id: str) -> str:
        """What a body has printed on its console since it was made."""
        return self.cloud.consoles[instance_id]

    def reboot(self, instance_id: str) -> None:
        """Have a body boot again, by its own `reboot`. Returns when the new boot has begun."""
        container = self.container_of(instance_id)
        before = container.attrs["State"]["StartedAt"]
        self.shell(instance_id, "systemctl --no-block reboot")

        def booted() -> bool:
            container.reload()
            return container.status == "running" and container.attrs["State"]["StartedAt"] != before

        until(booted, f"{instance_id} boots again")

    @contextmanager
    def from_outside(self) -> Iterator[None]:
        """Meanwhile bodies are reached by public addresses alone, and those without one get out by a NAT alone."""
        with from_outside(self.cloud, self.bridge, self.subnet):
            yield

    def kill(self, instance_id: str) -> None:
        """Take a body's power away. The cloud does not know, and says that the instance runs."""
        self.container_of(instance_id).kill()

    def _watch_power(self, stack: ExitStack) -> None:
        """See to it that a body that reboots or shuts down by itself does what a machine would."""
        events = self.engine.events(
            decode=True, filters={"type": "container", "event": "die", "label": f"{LABEL}={self.subnet.network}"}
        )

        def watch() -> None:
            for event in events:
                facts = event["Actor"]["Attributes"]
                self._has_ended(facts[INSTANCE], int(facts["exitCode"]))

        watcher = threading.Thread(target=watch, name="bodies' power", daemon=True)
        watcher.start()
        stack.callback(watcher.join)
        stack.callback(events.close)

    def _has_ended(self, instance_id: str, status: int) -> None:
        if instance_id in self._maker.told:
            self._maker.told.discard(instance_id)
        elif status == _REBOOTED:
            self._bodies.again(instance_id)
        elif status == _HALTED:
            self.cloud.powered_off(instance_id)


class _Consoles(Mapping[str, str]):
    """What the bodies have printed, by the ids of their instances."""

    def __init__(self, maker: ContainerMaker) -> None:
        self._maker = maker

    def __getitem__(self, instance_id: str) -> str:
        container = self._maker.find(instance_id)
        if container is None:
            raise KeyError(instance_id)
        return container.logs().decode(errors="replace")

    def __iter__(self) -> Iterator[str]:
        return iter(self._maker.ids())

    def __len__(self) -> int:
        return len(self._maker.ids())


def _find_others(engine: DockerClient) -> Iterator[str]:
    """The networks that are nobody's bodies': an engine picks them for itself, and may have picked one of ours."""
    for network in engine.networks.list():
        if LABEL not in (network.attrs["Labels"] or {}):
            yield from (pool["Subnet"] for pool in network.attrs["IPAM"]["Config"] or ())


def _make_network(engine: DockerClient, bridge: str, subnet: Subnet) -> str:
    network = engine.networks.create(
        f"clusterctl-{bridge}",
        driver="bridge",
        options={"com.docker.network.bridge.name": bridge},
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet.network, gateway=subnet.gateway)]),
        labels={LABEL: subnet.network},
    )
    return str(network.name)
