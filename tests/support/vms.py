"""Three virtual machines to test on: Debian with its own kernel, disks and NFS, in QEMU on a bridge.

The image is made from the root file system that containers have, with the environment that a test will ask for baked
in, since an emulated processor takes minutes where a real one takes seconds. It is kept in a cache. Each machine gets
a disk on top of it, and what makes it itself (name, address, host key, login) from a tar that it unpacks at its first
boot: cloud-init takes more time than all the rest of a boot, and is shown on containers.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl_standin.bodies.cache import CACHE, CERTIFICATES, root_file_system

from clusterctl.identity.keys import new_key_pair

from .hosts import LOGIN, Host
from .qemu import Bridge, Drive, Guest, Image, listens, overlay, power_on, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
NEEDED = ("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "ip", "iptables", "setpriv")
NETWORK = "10.79.0"
_DATA = "vol0123456789abcdef0"
DATA_DISK = f"/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_{_DATA}"
"""The first machine's disk for data, by the name that udev gives it. Of a volume of EC2 another model is in it."""
PACKAGES = ("linux-image-cloud-amd64", "systemd-sysv", "netbase", "logrotate", "nfs-kernel-server", "nfs-common")
"""What a machine has beyond a container, and what a cluster would install: the machines reach no archive."""
_NO_INITRD = {"etc/kernel/postinst.d/initramfs-tools": "#!/bin/sh\n"}
_AS_A_MACHINE = {
    "etc/fstab": "/dev/nvme0n1 / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/systemd/system/itself.service": """[Unit]
Description=What makes this machine itself
DefaultDependencies=no
ConditionPathExists=!/etc/hostname
Before=sysinit.target systemd-networkd.service
[Service]
Type=oneshot
ExecStart=tar -C / -xf /dev/nvme1n1
ExecStart=hostname -F /etc/hostname
[Install]
WantedBy=sysinit.target
""",
}
# What nobody needs here costs seconds of an emulated processor, each.
_NEEDLESS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("systemd-networkd-wait-online.service", "systemd-network-generator.service", "systemd-logind.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-pstore.service"),
    *("kmod-static-nodes.service", "rpc-statd-notify.service", "nfs-blkmap.service", "e2scrub_reap.service"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount", "getty.target"),
    *(f"modprobe@{module}.service" for module in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
)
_PREPARE = f"""
rm -f /etc/hostname /etc/ssh/ssh_host_*
useradd --create-home --shell /bin/bash {LOGIN}
echo '{LOGIN} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/{LOGIN}
systemctl --quiet set-default multi-user.target
systemctl --quiet enable systemd-networkd itself
systemctl --quiet disable nfs-server
systemctl --quiet mask {" ".join(_NEEDLESS)}
"""
_BRIDGE = "cctlvm"
_BOOT_S = 600.0


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
    facts = "\n".join((*PACKAGES, *_NO_INITRD.values(), *_AS_A_MACHINE.values(), _PREPARE, bake))
    folder = CACHE / f"vm-{_hash(facts)}"
    image = Image(folder / "disk.img", folder / "vmlinuz")
    if folder.exists():
        return image
    with _unpacked(PACKAGES, _NO_INITRD) as root:
        _write(root, _AS_A_MACHINE)
        _in_chroot(root, f"{_PREPARE}\n{bake}")
        os.mknod(root / "dev/console", stat.S_IFCHR | 0o600, os.makedev(5, 1))  # it is there before udev
        draft = root.with_name("image")
        draft.mkdir()
        shutil.copyfile(root / "vmlinuz", draft / "vmlinuz")
        run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(draft / "disk.img"), "4G")
        draft.rename(folder)
    return image


def _hash(facts: str) -> str:
    whole = facts + (ROOT / "ami" / "rootfs.sh").read_text()
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


@contextmanager
def _unpacked(packages: tuple[str, ...], files: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A folder with a root file system that has these files first, and then these packages."""
    base = root_file_system()
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        run("tar", "-C", str(root), "-xf", str(base))
        _write(root, files or {})
        # Nothing is started in there, and nothing need be on the disk before the end.
        refuse = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d\nchmod 755 /usr/sbin/policy-rc.d"
        options = "-o DPkg::Options::=--force-unsafe-io -o DPkg::Options::=--force-confold"
        install = f"apt-get {options} install -y -qq --no-install-recommends"
        clean = "rm -rf /usr/sbin/policy-rc.d /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/lib/apt/lists/*"
        _in_chroot(root, f"{refuse}\napt-get update -qq\n{install} {' '.join(packages)}\n{clean}")
        yield root


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def _in_chroot(root: Path, script: str) -> None:
    """Run a root script inside, with this computer's name service and certificates."""
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    for certificate in CERTIFICATES:
        shutil.copyfile(certificate, root / "usr/local/share/ca-certificates" / certificate.name)
    # None of this computer's own variables: its TMPDIR, for one, is not in there.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    run("chroot", str(root), "update-ca-certificates", env=environment)
    for name in ("proc", "dev"):
        run("mount", "--rbind", f"/{name}", str(root / name))
    try:
        environment["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        run("chroot", str(root), "sh", "-eus", input=script, env=environment)
    finally:
        for name in ("proc", "dev"):
            run("umount", "-R", "-l", str(root / name))


class Lab:
    """Machines that reach each other and this computer, and nothing else."""

    def __init__(self, folder: Path, image: Image) -> None:
        self._folder = folder
        self._image = image
        self._bridge = Bridge(_BRIDGE, f"{NETWORK}.1/24")
        self.guests: list[Guest] = []

    def __enter__(self) -> Lab:
        self._bridge.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for guest in self.guests:
            guest.kill()
        self._bridge.remove()

    def start(self, count: int, public_key: str) -> list[Host]:
        """Switch so many machines on, side by side; this key lets in there. The first has a blank disk for data."""
        hosts = [self._make(number, public_key) for number in range(count)]
        for number, guest in enumerate(self.guests):
            power_on(guest, self._image, port=self._bridge.port(number))
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(self._await_ssh, self.guests))
        silent = [guest for guest, answered in zip(self.guests, answers, strict=True) if not answered]
        assert not silent, "\n".join(f"{guest.name} does not answer:\n{guest.console[-3000:]}" for guest in silent)
        return hosts

    def _await_ssh(self, guest: Guest) -> bool:
        """Wait until its SSH server answers; False if it ended before, or time was up."""
        assert guest.process is not None
        deadline = time.monotonic() + _BOOT_S
        while guest.process.poll() is None and time.monotonic() < deadline:
            if listens(guest.address):
                return True
            threading.Event().wait(0.5)
        return False

    def _make(self, number: int, public_key: str) -> Host:
        name, address = f"vm{number}", f"{NETWORK}.{10 + number}"
        folder = self._folder / name
        folder.mkdir()
        private, public = new_key_pair(name)
        itself = folder / "itself.tar"
        with tarfile.open(itself, "w") as archive:
            for path, mode, text in (
                ("etc/hostname", 0o644, f"{name}\n"),
                ("etc/hosts", 0o644, f"127.0.0.1 localhost\n127.0.1.1 {name}\n"),
                ("etc/ssh/ssh_host_ed25519_key", 0o600, private.reveal()),
                ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, f"{public}\n"),
                ("etc/systemd/network/eth0.network", 0o644, f"[Match]\nName=eth0\n[Network]\nAddress={address}/24\n"),
                (f"home/{LOGIN}/.ssh/authorized_keys", 0o644, f"{public_key}\n"),
            ):
                member = tarfile.TarInfo(path)
                member.mode, member.size = mode, len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        guest = Guest(name, address, f"52:54:00:79:00:0{number}", folder)
        guest.drives += [Drive(overlay(self._image, folder), "root"), Drive(itself, "itself")]
        if number == 0:
            blank = folder / "blank.img"
            with blank.open("wb") as file:
                file.truncate(1 << 30)
            guest.drives.append(Drive(blank, _DATA))
        self.guests.append(guest)
        return Host(name, address, public)
