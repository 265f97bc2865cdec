"""An image of a few megabytes: busybox and the libraries that it needs, from this computer."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from contextlib import contextmanager

NAME = "clusterctl-test-small"


@contextmanager
def small_image(engine="docker"):
    """Its name, while it is there; None where the engine does not answer, or there is no busybox."""
    busybox = shutil.which("busybox")
    program = shutil.which(engine)
    if busybox is None or program is None or subprocess.run([program, "info"], capture_output=True).returncode:
        yield None
        return
    needed = subprocess.run(["ldd", busybox], capture_output=True, text=True).stdout
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        for file in re.findall(r"/\S+", needed):
            archive.add(file)
        archive.add(busybox, "/bin/busybox")
        for name in ("sh", "id", "sleep", "cat", "env", "touch"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    subprocess.run([program, "import", "-", NAME], input=content.getvalue(), capture_output=True, check=True)
    try:
        yield NAME
    finally:
        subprocess.run([program, "rmi", NAME], capture_output=True)
