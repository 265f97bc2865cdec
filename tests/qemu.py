"""Virtual machines in QEMU on a bridge of this computer: what those who test on them share."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COMMAND_LINE = "root=/dev/vda rw console=ttyS0 mitigations=off net.ifnames=0 quiet"


def run(*command: str, **options: object) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Image:
    """A disk and what boots it."""

    disk: Path
    kernel: Path
    initrd: Path


@dataclass
class Guest:
    """One virtual machine. Its folder holds its disks and logs."""

    name: str
    address: str
    mac: str
    folder: Path
    memory_mib: int = 1536
    process: subprocess.Popen | None = None
    drives: list[Path] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        """Whether it has power."""
        return self.process is not None and self.process.poll() is None

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
    """A bridge for machines that reach each other and this computer, as a context manager.

    Args:
        name: at most eleven letters: those of the machines' ports begin with it.
        address: this computer's address on it, with the length of the net's prefix.
        nat: whether machines also get where this computer gets.
    """

    def __init__(self, name: str, address: str, *, nat: bool = False) -> None:
        self.name = name
        self._address = address
        self._ports: list[str] = []
        among = ("-i", name, "-o", name, "-j", "ACCEPT")
        # A Docker engine on this computer forwards nothing that it does not know.
        self._rules = [("filter", "FORWARD", *among)]
        if nat:
            net = str(ip_interface(address).network)
            answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
            self._rules += [
                ("filter", "FORWARD", "-i", name, "!", "-o", name, "-j", "ACCEPT"),
                ("filter", "FORWARD", "-o", name, *answers, "-j", "ACCEPT"),
                ("nat", "POSTROUTING", "-s", net, "!", "-o", name, "-j", "MASQUERADE"),
            ]

    def __enter__(self) -> Bridge:
        self.remove()
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "address", "add", self._address, "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        for table, chain, *rule in self._rules:
            run("iptables", "-t", table, "-I", chain, *rule)
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove all of it, an earlier run's too."""
        for table, chain, *rule in self._rules:
            # Runs that were killed have left one each.
            while not subprocess.run(["iptables", "-t", table, "-D", chain, *rule], capture_output=True).returncode:
                pass
        shown = json.loads(run("ip", "-json", "link", "show"))
        for link in shown:
            if link.get("master") == self.name:
                subprocess.run(["ip", "link", "delete", link["ifname"]], capture_output=True)
        subprocess.run(["ip", "link", "delete", self.name], capture_output=True)

    def port(self, number: int) -> str:
        """A port for one machine; the same one each time."""
        name = f"{self.name}-{number}"
        if subprocess.run(["ip", "link", "show", name], capture_output=True).returncode != 0:
            run("ip", "tuntap", "add", name, "mode", "tap")
            run("ip", "link", "set", name, "master", self.name, "up")
        return name


def overlay(image: Image, folder: Path) -> Path:
    """A disk that is the image's at first, and keeps in the folder what is written to it."""
    disk = folder / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(disk))
    return disk


def seed_disk(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A disk on which cloud-init finds these files."""
    seed = folder / "seed"
    seed.mkdir(exist_ok=True)
    for name, content in files.items():
        (seed / name).write_bytes(content)
    disk = folder / "seed.iso"
    paths = [str(seed / name) for name in files]
    run("genisoimage", "-quiet", "-output", str(disk), "-volid", "cidata", "-joliet", "-rock", *paths)
    return disk


def power_on(guest: Guest, image: Image, *, port: str, paused: bool = False) -> None:
    """Switch a machine on. Paused, it waits for `Monitor.ask("cont")` before its first instruction."""
    drives = []
    for drive in guest.drives:
        kind = "qcow2" if drive.suffix == ".qcow2" else "raw"
        drives += ["-drive", f"file={drive},if=virtio,format={kind},cache=unsafe"]
    command = [
        # `max`: packages with compiled parts expect more than QEMU's default processor has.
        *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(guest.memory_mib)),
        *("-nodefaults", "-display", "none", "-serial", f"file:{guest.folder / 'console.log'}"),
        *("-device", "virtio-rng-pci", "-append", _COMMAND_LINE),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-netdev", f"tap,id=net0,ifname={port},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net0,mac={guest.mac}"),
        *("-qmp", f"unix:{guest.folder / 'monitor'},server=on,wait=off"),
        *(["-S"] if paused else []),
        *drives,
    ]
    (guest.folder / "monitor").unlink(missing_ok=True)
    with (guest.folder / "qemu.log").open("ab") as log:
        guest.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


class Monitor:
    """QEMU's own protocol (QMP) with one machine, as a context manager."""

    def __init__(self, guest: Guest) -> None:
        self._path = guest.folder / "monitor"

    def __enter__(self) -> Monitor:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(self._path))
        self._lines = self._socket.makefile("rb")
        self._lines.readline()  # its greeting
        self.ask("qmp_capabilities")
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """What a command returns; a name with `_` for `-` in its arguments."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._socket.sendall(json.dumps({"execute": command, "arguments": named}).encode())
        for line in self._lines:
            said = json.loads(line)
            assert "error" not in said, f"{command}: {said['error']['desc']}"
            if "return" in said:
                return said["return"]
        raise AssertionError(f"{command}: the machine has no power any more")

    def succeeds(self, command: str, **arguments: Any) -> bool:
        """Whether a command does what it says; it may be too early for it."""
        with suppress(AssertionError):
            self.ask(command, **arguments)
            return True
        return False


def listens(address: str) -> bool:
    """Whether something there says that it is an SSH server."""
    try:
        with socket.create_connection((address, 22), 1) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
