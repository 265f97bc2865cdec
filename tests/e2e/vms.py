"""Three virtual machines to test on: Debian with its own kernel, systemd, NFS and cloud-init, in QEMU on a bridge.

The image is made from a debootstrap root file system by `ami/rootfs.sh`, with the environment that a test will ask for
baked in, since an emulated processor takes minutes where a real one takes seconds. It is kept in a cache. Each
machine gets a disk on top of it, and what makes it itself (name, address, host key, login) by cloud-init.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from clusterctl.identity.keys import new_key_pair

from ..docker_engine import CACHE
from ..qemu import Bridge, Guest, Image, listens, overlay, power_on, run, seed_disk

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "dbus", "libpam-systemd", "cloud-init", "ifupdown", "netbase"),
    *("openssh-server", "sudo", "python3", "nfs-kernel-server", "nfs-common", "logrotate", "kmod", "iproute2"),
    *("procps", "ca-certificates", "xfsprogs", "parted", "tcsh"),
)
_AS_IN_A_CLOUD = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/cloud/cloud.cfg.d/90-test.cfg": "datasource_list: [NoCloud, None]\n"
    "apt: {preserve_sources_list: true}\nmanage_etc_hosts: true\nlocale: C.UTF-8\n"
    "system_info: {default_user: {name: admin}}\n",
    # The disks of EC2 have the names of their volumes as serial numbers.
    "etc/udev/rules.d/60-ebs.rules": 'SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ATTR{serial}=="vol*",'
    ' SYMLINK+="disk/by-id/nvme-Amazon_Elastic_Block_Store_$attr{serial}"\n',
}
"""What a cloud's image has and a bare root file system has not."""
NEEDED = ("qemu-system-x86_64", "qemu-img", "genisoimage", "debootstrap", "mke2fs", "ip", "iptables")
NETWORK = "10.79.0"
_BRIDGE = "cctlvm"
_BOOT_S = 900.0


def missing() -> str:
    """Why there can be no virtual machines here; empty where there can."""
    lacking = [program for program in NEEDED if shutil.which(program) is None]
    if lacking:
        return f"{', '.join(lacking)} not installed"
    return "" if os.geteuid() == 0 else "needs root for a bridge"


def build_image(bake: str) -> Image:
    """The image for machines on which the root script `bake` has run; from the cache if it is there.

    Args:
        bake: a POSIX shell script; it runs in a chroot with the network of this computer.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    facts = "\n".join((*PACKAGES, bake, *_AS_IN_A_CLOUD.values(), (ROOT / "ami" / "rootfs.sh").read_text()))
    folder = CACHE / f"vm-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    image = Image(folder / "disk.img", folder / "vmlinuz", folder / "initrd.img")
    if folder.exists():
        return image
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        draft, root = Path(scratch) / "image", Path(scratch) / "root"
        draft.mkdir()
        root.mkdir()
        run("tar", "-C", str(root), "-xf", str(root_tar(PACKAGES)))
        _prepare_root(root)
        _in_chroot(root, bake)
        shutil.copyfile(root / "vmlinuz", draft / "vmlinuz")
        shutil.copyfile(root / "initrd.img", draft / "initrd.img")
        run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(draft / "disk.img"), "4G")
        draft.rename(folder)
    return image


def root_tar(packages: tuple[str, ...]) -> Path:
    """A Debian root file system with these packages, as a tar; from the cache if it is there."""
    script = ROOT / "ami" / "rootfs.sh"
    name = hashlib.sha256(f"{packages}{script.read_text()}".encode()).hexdigest()[:16]
    tar = CACHE / f"root-{name}.tar"
    if not tar.exists():
        draft = tar.with_suffix(".new")
        run("sh", str(script), str(draft), *packages)
        draft.rename(tar)
    return tar


def _prepare_root(root: Path) -> None:
    """Make a bare root file system one that a cloud's machines can boot."""
    for path, text in _AS_IN_A_CLOUD.items():
        (root / path).write_text(text)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # What nobody needs here costs seconds each, emulated.
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "nfs-server.service"):
        run("chroot", str(root), "systemctl", "disable", unit)


def _in_chroot(root: Path, script: str) -> None:
    """Run a root script inside, with this computer's name service and certificates."""
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    own = root / "usr/local/share/ca-certificates"
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copyfile(certificate, own / certificate.name)
    run("chroot", str(root), "update-ca-certificates")
    for name in ("proc", "dev"):
        run("mount", "--rbind", f"/{name}", str(root / name))
    try:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        environment["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        run("chroot", str(root), "sh", "-eus", input=script, env=environment)
    finally:
        for name in ("proc", "dev"):
            run("umount", "-R", "-l", str(root / name))


@dataclass
class Machine(Guest):
    """A virtual machine of a lab, and the host key that it was given."""

    host_key: str = ""


class Lab:
    """Machines that reach each other and this computer, and nothing else."""

    def __init__(self, folder: Path, image: Image, public_key: str) -> None:
        self._folder = folder
        self._image = image
        self._public_key = public_key
        self._bridge = Bridge(_BRIDGE, f"{NETWORK}.1/24")
        self.machines: list[Machine] = []

    def __enter__(self) -> Lab:
        self._bridge.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            machine.kill()
        self._bridge.remove()

    def start(self, count: int, *, blank_disk_gb: int = 0) -> None:
        """Switch so many machines on, side by side; the first one gets a blank second disk if asked for."""
        for number in range(count):
            self.machines.append(self._make(f"vm{number}", number, blank_disk_gb if number == 0 else 0))
        for number, machine in enumerate(self.machines):
            power_on(machine, self._image, port=self._bridge.port(number))
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(self.await_ssh, self.machines))
        silent = [machine for machine, answered in zip(self.machines, answers, strict=True) if not answered]
        assert not silent, "\n".join(f"{m.name} does not answer:\n{m.console[-3000:]}" for m in silent)

    def await_ssh(self, machine: Machine) -> bool:
        """Wait until its SSH server answers; False if it ended before, or time was up."""
        assert machine.process is not None
        deadline = time.monotonic() + _BOOT_S
        while machine.process.poll() is None and time.monotonic() < deadline:
            if listens(machine.address):
                return True
            threading.Event().wait(0.5)
        return False

    def _make(self, name: str, number: int, blank_disk_gb: int) -> Machine:
        folder = self._folder / name
        folder.mkdir()
        private, public = new_key_pair(name)
        machine = Machine(name, f"{NETWORK}.{10 + number}", f"52:54:00:79:00:0{number}", folder, host_key=public)
        indented = "\n".join(f"    {line}" for line in private.reveal().splitlines())
        seed = {
            "meta-data": f"instance-id: {name}-{public[-12:-4]}\nlocal-hostname: {name}\n",
            "user-data": "#cloud-config\n"
            f"ssh_keys:\n  ed25519_private: |\n{indented}\n  ed25519_public: {public}\n"
            "users:\n"
            "  - name: admin\n    shell: /bin/bash\n    lock_passwd: true\n"
            "    sudo: ALL=(ALL) NOPASSWD:ALL\n"
            f"    ssh_authorized_keys: ['{self._public_key}']\n"
            "locale: C.UTF-8\nmanage_etc_hosts: true\npackage_update: false\n",
            "network-config": "version: 1\nconfig:\n  - type: physical\n    name: eth0\n    subnets:\n"
            f"      - {{type: static, address: {machine.address}/24}}\n",
        }
        files = {name: text.encode() for name, text in seed.items()}
        machine.drives += [overlay(self._image, folder), seed_disk(folder, files)]
        if blank_disk_gb:
            blank = folder / "blank.img"
            with blank.open("wb") as file:
                file.truncate(blank_disk_gb << 30)
            machine.drives.append(blank)
        return machine
