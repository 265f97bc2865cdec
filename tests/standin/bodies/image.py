"""The image of a body: Debian 12 with systemd, cloud-init and an SSH server, built once a computer."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import ImageNotFound

from .cache import CERTIFICATES, one_at_a_time, remove_others, root_file_system

if TYPE_CHECKING:
    from docker import DockerClient

DEFINITION = Path(__file__).parent / "debian"
PACKAGES = (
    *("systemd-sysv", "dbus", "libpam-systemd", "cloud-init", "netbase", "openssh-server", "sudo", "python3"),
    *("iproute2", "procps", "ca-certificates", "curl", "kmod", "e2fsprogs", "xfsprogs", "parted", "fdisk"),
    *("tcsh", "logrotate"),
)
"""What Debian's image for EC2 has and a bare root file system has not, as far as clusterctl may notice."""
_NAME = "clusterctl-body"


def body_image(engine: DockerClient) -> str:
    """The name of the image; it is built if this computer has not got it yet."""
    content = hashlib.sha256(" ".join(PACKAGES).encode())
    parts = [*sorted(path for path in DEFINITION.rglob("*") if path.is_file()), *CERTIFICATES]
    for path in parts:
        content.update(path.read_bytes())
    name = f"{_NAME}:{content.hexdigest()[:12]}"
    with one_at_a_time("body-image"):
        try:
            engine.images.get(name)
        except ImageNotFound:
            base = f"{_NAME}-root:latest"
            engine.api.import_image_from_file(str(root_file_system()), *base.split(":"))
            asked = {"BASE": base, "PACKAGES": " ".join(PACKAGES)}
            engine.images.build(
                fileobj=io.BytesIO(_context(parts)), custom_context=True, tag=name, buildargs=asked, rm=True
            )
            engine.images.remove(base)  # its name only
            remove_others(engine.api, name)
    return name


def _context(parts: list[Path]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in parts:
            inside = (
                path.relative_to(DEFINITION) if path.is_relative_to(DEFINITION) else Path("certificates", path.name)
            )
            archive.add(path, str(inside))
    return packed.getvalue()
