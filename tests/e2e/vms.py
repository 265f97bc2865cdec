"""Three virtual machines to test on: Debian with its own kernel, systemd, NFS and cloud-init, in QEMU on a bridge.

The image is made from a debootstrap root file system by `ami/rootfs.sh`, with the environment that a test will ask for
baked in, since an emulated processor takes minutes where a real one takes seconds. It is kept in a cache. Each
machine gets a disk on top of it, and what makes it itself (name, address, host key, login) by cloud-init.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from clusterctl.keys import new_key_pair

from ..docker_engine import CACHE

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "dbus", "libpam-systemd", "cloud-init", "ifupdown", "netbase"),
    *("openssh-server", "sudo", "python3", "nfs-kernel-server", "nfs-common", "logrotate", "kmod", "iproute2"),
    *("procps", "ca-certificates", "xfsprogs", "parted", "tcsh"),
)
NEEDED = ("qemu-system-x86_64", "qemu-img", "genisoimage", "debootstrap", "mke2fs", "ip", "iptables")
NETWORK = "10.79.0"
_BRIDGE = "cctlvm"
_COMMAND_LINE = "root=/dev/vda rw console=ttyS0 mitigations=off net.ifnames=0 quiet"
_BOOT_S = 900.0


def missing() -> str:
    """Why there can be no virtual machines here; empty where there can."""
    lacking = [program for program in NEEDED if shutil.which(program) is None]
    if lacking:
        return f"{', '.join(lacking)} not installed"
    return "" if os.geteuid() == 0 else "needs root for a bridge"


def _run(*command: str, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Image:
    """A disk and what boots it."""

    disk: Path
    kernel: Path
    initrd: Path


def build_image(bake: str) -> Image:
    """The image for machines on which the root script `bake` has run; from the cache if it is there.

    Args:
        bake: a POSIX shell script; it runs in a chroot with the network of this computer.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    facts = "\n".join((*PACKAGES, bake, (ROOT / "ami" / "rootfs.sh").read_text()))
    folder = CACHE / f"vm-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    image = Image(folder / "disk.img", folder / "vmlinuz", folder / "initrd.img")
    if folder.exists():
        return image
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        draft, root = Path(scratch) / "image", Path(scratch) / "root"
        draft.mkdir()
        root.mkdir()
        _run("tar", "-C", str(root), "-xf", str(root_tar(PACKAGES)))
        _prepare_root(root)
        _in_chroot(root, bake)
        shutil.copyfile(root / "vmlinuz", draft / "vmlinuz")
        shutil.copyfile(root / "initrd.img", draft / "initrd.img")
        _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(draft / "disk.img"), "4G")
        draft.rename(folder)
    return image


def root_tar(packages: tuple[str, ...]) -> Path:
    """A Debian root file system with these packages, as a tar; from the cache if it is there."""
    script = ROOT / "ami" / "rootfs.sh"
    name = hashlib.sha256(f"{packages}{script.read_text()}".encode()).hexdigest()[:16]
    tar = CACHE / f"root-{name}.tar"
    if not tar.exists():
        draft = tar.with_suffix(".new")
        _run("sh", str(script), str(draft), *packages)
        draft.rename(tar)
    return tar


def _prepare_root(root: Path) -> None:
    """What a cloud's image has and a bare root file system has not."""
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (root / "etc/cloud/cloud.cfg.d/90-test.cfg").write_text("datasource_list: [NoCloud, None]\n")
    (root / "etc/machine-id").write_text("")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # What nobody needs here costs seconds each, emulated.
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "nfs-server.service"):
        _run("chroot", str(root), "systemctl", "disable", unit)


def _in_chroot(root: Path, script: str) -> None:
    """Run a root script inside, with this computer's name service and certificates."""
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    own = root / "usr/local/share/ca-certificates"
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copyfile(certificate, own / certificate.name)
    _run("chroot", str(root), "update-ca-certificates")
    for name in ("proc", "dev"):
        _run("mount", "--rbind", f"/{name}", str(root / name))
    try:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        environment["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        _run("chroot", str(root), "sh", "-eus", input=script, env=environment)
    finally:
        for name in ("proc", "dev"):
            _run("umount", "-R", "-l", str(root / name))


@dataclass
class Machine:
    """One virtual machine."""

    name: str
    address: str
    host_key: str
    folder: Path
    process: subprocess.Popen | None = None
    disks: list[Path] = field(default_factory=list)

    @property
    def console(self) -> str:
        """What it has printed since it was switched on."""
        log = self.folder / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""


class Lab:
    """Machines that reach each other and this computer, and nothing else."""

    def __init__(self, folder: Path, image: Image, public_key: str) -> None:
        self._folder = folder
        self._image = image
        self._public_key = public_key
        self.machines: list[Machine] = []

    def __enter__(self) -> Lab:
        _run("ip", "link", "add", _BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{NETWORK}.1/24", "dev", _BRIDGE)
        _run("ip", "link", "set", _BRIDGE, "up")
        # A Docker engine on this computer forwards nothing that it does not know.
        _run("iptables", "-I", "FORWARD", "-i", _BRIDGE, "-o", _BRIDGE, "-j", "ACCEPT")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            if machine.process:
                machine.process.kill()
                machine.process.wait()
            subprocess.run(["ip", "link", "delete", f"{_BRIDGE}-{machine.name[-1]}"], capture_output=True)
        subprocess.run(["iptables", "-D", "FORWARD", "-i", _BRIDGE, "-o", _BRIDGE, "-j", "ACCEPT"])
        subprocess.run(["ip", "link", "delete", _BRIDGE])

    def start(self, count: int, *, blank_disk_gb: int = 0) -> None:
        """Switch so many machines on, side by side; the first one gets a blank second disk if asked for."""
        for number in range(count):
            self.machines.append(self._make(f"vm{number}", number, blank_disk_gb if number == 0 else 0))
        for machine in self.machines:
            self._power_on(machine)
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(self.await_ssh, self.machines))
        silent = [machine for machine, answered in zip(self.machines, answers, strict=True) if not answered]
        assert not silent, "\n".join(f"{m.name} does not answer:\n{m.console[-3000:]}" for m in silent)

    def await_ssh(self, machine: Machine) -> bool:
        """Wait until its SSH server answers; False if it ended before, or time was up."""
        assert machine.process is not None
        deadline = time.monotonic() + _BOOT_S
        while machine.process.poll() is None and time.monotonic() < deadline:
            if _listens(machine.address):
                return True
            threading.Event().wait(0.5)
        return False

    def _make(self, name: str, number: int, blank_disk_gb: int) -> Machine:
        folder = self._folder / name
        folder.mkdir()
        private, public = new_key_pair(name)
        machine = Machine(name, f"{NETWORK}.{10 + number}", public, folder)
        disk = folder / "disk.qcow2"
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self._image.disk), str(disk))
        machine.disks.append(disk)
        (folder / "meta-data").write_text(f"instance-id: {name}-{public[-12:-4]}\nlocal-hostname: {name}\n")
        indented = "\n".join(f"    {line}" for line in private.reveal().splitlines())
        (folder / "user-data").write_text(
            "#cloud-config\n"
            f"ssh_keys:\n  ed25519_private: |\n{indented}\n  ed25519_public: {public}\n"
            "users:\n"
            "  - name: admin\n    shell: /bin/bash\n    lock_passwd: true\n"
            "    sudo: ALL=(ALL) NOPASSWD:ALL\n"
            f"    ssh_authorized_keys: ['{self._public_key}']\n"
            "locale: C.UTF-8\nmanage_etc_hosts: true\npackage_update: false\n"
        )
        (folder / "network-config").write_text(
            "version: 1\nconfig:\n  - type: physical\n    name: eth0\n    subnets:\n"
            f"      - {{type: static, address: {machine.address}/24}}\n"
        )
        seed = folder / "seed.iso"
        files = [str(folder / part) for part in ("user-data", "meta-data", "network-config")]
        _run("genisoimage", "-quiet", "-output", str(seed), "-volid", "cidata", "-joliet", "-rock", *files)
        machine.disks.append(seed)
        if blank_disk_gb:
            blank = folder / "blank.img"
            with blank.open("wb") as file:
                file.truncate(blank_disk_gb << 30)
            machine.disks.append(blank)
        return machine

    def _power_on(self, machine: Machine) -> None:
        number = machine.name[-1]
        tap = f"{_BRIDGE}-{number}"
        _run("ip", "tuntap", "add", tap, "mode", "tap")
        _run("ip", "link", "set", tap, "master", _BRIDGE, "up")
        disks = []
        for disk in machine.disks:
            kind = "qcow2" if disk.suffix == ".qcow2" else "raw"
            disks += ["-drive", f"file={disk},if=virtio,format={kind},cache=unsafe"]
        machine.process = subprocess.Popen(
            [
                # `max`: packages with compiled parts expect more than QEMU's default processor has.
                *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "1536", "-nodefaults"),
                *("-display", "none", "-serial", f"file:{machine.folder / 'console.log'}"),
                *("-device", "virtio-rng-pci", "-append", _COMMAND_LINE),
                *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
                *("-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no"),
                *("-device", f"virtio-net-pci,netdev=net0,mac=52:54:00:79:00:0{number}"),
                *disks,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _listens(address: str) -> bool:
    """Whether something there says that it is an SSH server."""
    try:
        with socket.create_connection((address, 22), 1) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
