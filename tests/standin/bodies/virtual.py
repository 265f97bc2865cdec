"""Bodies that are virtual machines: a kernel of their own, NFS, udev and a disk, each at its instance's own address.

Slower than containers by far where the processor is emulated, and nearer to the truth: what a container borrows from
this computer, a machine has itself.
"""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ...qemu import Guest, Monitor, overlay, power_on, seed_disk
from .disks import Shelf, volume_file
from .leftovers import make_bridge, remove_all
from .metadata import Metadata
from .reconciler import Reconciler
from .seeds import seed
from .subnet import PREFIX, USUAL, claimed
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...qemu import Bridge, Image
    from ..cloud import Cloud
    from ..machine_view import Disk, Machine

_MOST_MEMORY_MIB = 1536
_SHUTDOWN_S = 180.0


class VirtualMaker:
    """Makes virtual machines of what the cloud says of instances."""

    def __init__(self, cloud: Cloud, *, image: Image, folder: Path, bridge: Bridge) -> None:
        self._cloud = cloud
        self._image = image
        self._folder = folder
        self._bridge = bridge
        self._numbers = count()
        self._ports: dict[str, str] = {}
        self.guests: dict[str, Guest] = {}
        self.told: set[str] = set()
        """Instances whose machines were told to shut down, or lost their power: they did not do so by themselves."""

    def switch_on(self, machine: Machine) -> None:
        """Boot it, with a new disk if it never ran."""
        guest = self.guests.get(machine.id) or self._make(machine)
        if guest.runs:
            return
        self.told.discard(machine.id)
        guest.drives = [guest.folder / "disk.qcow2", seed_disk(guest.folder, {**seed(machine), **_network(machine)})]
        power_on(guest, self._image, port=self._ports[machine.id], paused=True)
        monitor = guest.folder / "monitor"
        until(monitor.exists, f"{machine.id} has a monitor")
        self._set(guest, machine.disks[1:])
        with Monitor(guest) as asked:
            asked.ask("cont")
        threading.Thread(target=self._watch, args=(machine.id, guest), daemon=True, name="body's power").start()

    def switch_off(self, machine: Machine) -> None:
        """Press the power button; pull the plug if that does not help."""
        guest = self.guests.get(machine.id)
        if guest is None or not guest.runs:
            return
        self.told.add(machine.id)
        with Monitor(guest) as monitor:
            monitor.ask("system_powerdown")
        with suppress(AssertionError):
            until(lambda: not guest.runs, "it is off", deadline_s=_SHUTDOWN_S)
        guest.kill()

    def reboot(self, machine: Machine) -> None:
        """Shut it down and boot it again."""
        guest = self.guests.get(machine.id)
        if guest and guest.runs:
            self.switch_off(machine)
            self.switch_on(machine)

    def remove(self, machine: Machine) -> None:
        """Pull the plug, and throw the disk away."""
        guest = self.guests.pop(machine.id, None)
        if guest:
            self.told.add(machine.id)
            guest.kill()
            shutil.rmtree(guest.folder)

    def set_disks(self, machine: Machine) -> None:
        """Plug in the data volumes that it has now, and unplug the others."""
        guest = self.guests.get(machine.id)
        if guest and guest.runs:
            self._set(guest, machine.disks[1:])

    def save(self, machine: Machine) -> None:
        """Not done: all are made of one image."""
        raise NotImplementedError(f"an image of the virtual machine {machine.id}")

    def _make(self, machine: Machine) -> Guest:
        folder = self._folder / machine.id
        folder.mkdir()
        memory = min(machine.memory_mib, _MOST_MEMORY_MIB)
        guest = Guest(machine.id, machine.private_address, machine.mac, folder, memory_mib=memory)
        overlay(self._image, folder)
        self._ports[machine.id] = self._bridge.port(next(self._numbers))
        self.guests[machine.id] = guest
        return guest

    def _set(self, guest: Guest, disks: Iterable[Disk]) -> None:
        wanted = {disk.volume.replace("-", ""): disk for disk in disks}
        with Monitor(guest) as monitor:
            nodes = monitor.ask("query-named-block-nodes")
            there = {node["node-name"] for node in nodes if node["node-name"].startswith("vol")}
            for name in sorted(wanted.keys() - there):
                # Not locked: who had it before may not have noticed yet that it has it no more.
                file = {"driver": "file", "filename": str(volume_file(wanted[name])), "locking": "off"}
                monitor.ask("blockdev-add", driver="raw", node_name=name, file=file)
                monitor.ask("device_add", driver="virtio-blk-pci", drive=name, id=name, serial=name)
            for name in there - wanted.keys():
                monitor.ask("device_del", id=name)
                until(lambda name=name: monitor.succeeds("blockdev-del", node_name=name), f"{name} is unplugged")

    def _watch(self, instance_id: str, guest: Guest) -> None:
        """Tell the cloud of a machine that shuts itself down."""
        process = guest.process
        if process and process.wait() == 0 and instance_id not in self.told:
            self._cloud.powered_off(instance_id)


class VirtualMachines:
    """Gives every instance of a cloud a virtual machine, as long as the context lasts; nothing is left afterwards.

    Args:
        cloud: the stand-in.
        image: what all of them boot, whatever image the cloud says.
        folder: for their disks.
    """

    def __init__(self, cloud: Cloud, *, image: Image, folder: Path) -> None:
        self.cloud = cloud
        self._image = image
        self._folder = folder

    def __enter__(self) -> VirtualMachines:
        with ExitStack() as stack:
            stack.enter_context(claimed())
            remove_all()
            net = stack.enter_context(make_bridge())
            self.metadata = stack.enter_context(Metadata(self.cloud, net.name))
            stack.enter_context(Shelf())
            self._maker = VirtualMaker(self.cloud, image=self._image, folder=self._folder, bridge=net)
            self._bodies = Reconciler(self.cloud, self._maker)
            stack.callback(self._end_all)
            self.cloud.on_change(self._bodies.look)
            self._bodies.look()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def settle(self, deadline_s: float = 600.0) -> None:
        """Wait until every body is as the cloud says, and raise what went wrong on the way. It may still be booting."""
        self._bodies.settle(deadline_s)

    def guest_of(self, instance_id: str) -> Guest:
        """The machine of an instance."""
        self.settle()
        return self._maker.guests[instance_id]

    def console(self, instance_id: str) -> str:
        """What a body has printed since it was switched on."""
        return self.guest_of(instance_id).console

    def kill(self, instance_id: str) -> None:
        """Take a body's power away. The cloud does not know, and says that the instance runs."""
        guest = self.guest_of(instance_id)
        self._maker.told.add(instance_id)
        guest.kill()

    def _end_all(self) -> None:
        self._bodies.close()
        for instance_id, guest in self._maker.guests.items():
            self._maker.told.add(instance_id)
            guest.kill()


def _network(machine: Machine) -> dict[str, bytes]:
    """How it reaches the others, this computer and what is beyond."""
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    servers = [words[1] for words in lines if words[:1] == ["nameserver"]]
    subnet = f"{{type: static, address: {machine.private_address}/{PREFIX}, gateway: {USUAL.gateway}}}"
    text = (
        "version: 1\nconfig:\n"
        f"  - type: physical\n    name: eth0\n    subnets:\n      - {subnet}\n"
        f"  - type: nameserver\n    address: [{', '.join(servers)}]\n"
    )
    return {"network-config": text.encode()}
