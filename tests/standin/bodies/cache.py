"""What is made once a computer and kept: the root file system of Debian 12, and locks between runs of tests."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import APIClient

CACHE = Path(os.environ.get("CLUSTERCTL_TEST_CACHE") or Path(tempfile.gettempdir()) / "clusterctl-test-cache")
"""Keeps the root file system, which takes a minute to make."""
CERTIFICATES = sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))
"""What this computer trusts beyond the usual: without them containers here may not reach PyPI."""


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Keep other processes of the tests out meanwhile: what one of them makes the others find."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_others(api: APIClient, *kept: str) -> None:
    """Images of earlier definitions than these; those that something still needs stay."""
    for image in api.images(kept[0].partition(":")[0]):
        for other in set(image["RepoTags"] or ()) - {*kept}:
            with contextlib.suppress(APIError):
                api.remove_image(other)


def root_file_system() -> Path:
    """A tar of Debian 12, made by our own script if it is not in the cache."""
    tar = CACHE / "debian-12.tar"
    with one_at_a_time("root-file-system"):
        if not tar.exists():
            if not shutil.which("debootstrap") or os.geteuid() != 0:
                pytest.skip("docker: no debootstrap, or not root, to make a root file system with")
            # A wheel does not keep the mark of a program, so its shell is named.
            with as_file(files("clusterctl_ami") / "rootfs.sh") as script:
                made = subprocess.run(["sh", script, tar], capture_output=True, text=True)
            assert made.returncode == 0, made.stdout[-2000:] + made.stderr
    return tar
