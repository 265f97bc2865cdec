"""Virtual machines in QEMU on a bridge of this computer."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND_LINE = (
    "root=/dev/nvme0n1 rw console=ttyS0 mitigations=off net.ifnames=0 no_timer_check modprobe.blacklist=ata_piix quiet"
)
_MEMORY_MIB = 1536


def run(*command: str, **options: object) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Image:
    """A disk, and a kernel that finds it without an initrd."""

    disk: Path
    kernel: Path


@dataclass(frozen=True)
class Drive:
    """A disk of a machine, an NVMe device as on EC2: qcow2 by its name, or else raw."""

    file: Path
    serial: str


@dataclass
class Guest:
    """One virtual machine. Its folder holds its disks and logs."""

    name: str
    address: str
    mac: str
    folder: Path
    drives: list[Drive] = field(default_factory=list)
    process: subprocess.Popen | None = None

    @property
    def console(self) -> str:
        """What it has printed since it was switched on."""
        log = self.folder / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def kill(self) -> None:
        """Take its power away."""
        if self.process:
            self.process.kill()
            self.process.wait()


class Bridge:
    """A bridge for machines that reach each other and this computer, and nothing else, as a context manager.

    Args:
        name: at most eleven letters: those of the machines' ports begin with it.
        address: this computer's address on it, with the length of the net's prefix.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self._address = address
        # A Docker engine on this computer forwards nothing that it does not know.
        self._rule = ("FORWARD", "-i", name, "-o", name, "-j", "ACCEPT")

    def __enter__(self) -> Bridge:
        self.remove()
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "address", "add", self._address, "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        run("iptables", "-I", *self._rule)
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove all of it, an earlier run's too."""
        # Runs that were killed have left one each.
        while not subprocess.run(["iptables", "-D", *self._rule], capture_output=True).returncode:
            pass
        shown = json.loads(run("ip", "-json", "link", "show"))
        for link in shown:
            if link["ifname"].startswith(f"{self.name}-"):
                subprocess.run(["ip", "link", "delete", link["ifname"]], capture_output=True)
        subprocess.run(["ip", "link", "delete", self.name], capture_output=True)

    def port(self, number: int) -> str:
        """A new port for one machine."""
        name = f"{self.name}-{number}"
        run("ip", "tuntap", "add", name, "mode", "tap")
        run("ip", "link", "set", name, "master", self.name, "up")
        return name


def overlay(image: Image, folder: Path) -> Path:
    """A disk that is the image's at first, and keeps in the folder what is written to it."""
    disk = folder / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(disk))
    return disk


def power_on(guest: Guest, image: Image, *, port: str) -> None:
    """Switch a machine on."""
    drives = []
    for number, drive in enumerate(guest.drives):
        kind = "qcow2" if drive.file.suffix == ".qcow2" else "raw"
        drives += ["-drive", f"id=disk{number},file={drive.file},if=none,format={kind},cache=unsafe"]
        drives += ["-device", f"nvme,drive=disk{number},serial={drive.serial}"]
    command = [
        # A run of the tests that is killed leaves no machine behind.
        *("setpriv", "--pdeathsig", "KILL"),
        # As much of a processor as packages with compiled parts expect, and no more: what newer ones do at once (long
        # copies, wide vectors) is slow where it is emulated.
        *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem", "-smp", "1", "-m", str(_MEMORY_MIB)),
        *("-nodefaults", "-display", "none", "-serial", f"file:{guest.folder / 'console.log'}"),
        *("-device", "virtio-rng-pci", "-append", _COMMAND_LINE),
        *("-kernel", str(image.kernel)),
        *("-netdev", f"tap,id=net0,ifname={port},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net0,mac={guest.mac}"),
        *drives,
    ]
    with (guest.folder / "qemu.log").open("ab") as log:
        guest.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def listens(address: str) -> bool:
    """Whether something there says that it is an SSH server."""
    try:
        with socket.create_connection((address, 22), 1) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
