"""Builds clusterctl as setuptools does, and adds to an editable install what finds the package beside its own clone.

An editable install of setuptools has a finder that comes last. In the folder above a clone named `clusterctl` Python
finds the clone first, takes it for a namespace package, and `import clusterctl` gives an empty module.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  the hooks that need no change

_FINDER = Path(__file__).with_name("clusterctl_namespace_guard.py")


def build_editable(
    wheel_directory: str, config_settings: dict[str, object] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel of an editable install, with the guard and the line that starts it. Return its name."""
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    # In the order of their names after the finder of setuptools, `__editable__...pth`.
    start = f"import {_FINDER.stem}\n".encode()
    _add_files(Path(wheel_directory, name), {_FINDER.name: _FINDER.read_bytes(), f"{_FINDER.stem}.pth": start})
    return name


def _add_files(wheel: Path, files: dict[str, bytes]) -> None:
    """Add files to a wheel, and to its list of files."""
    with zipfile.ZipFile(wheel) as archive:
        content = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, data in content.items():
            if info.filename.endswith(".dist-info/RECORD"):
                lines = [f"{name},sha256={_digest(added)},{len(added)}\n" for name, added in files.items()]
                archive.writestr(info, data + "".join(lines).encode())
            else:
                archive.writestr(info, data)
        for name, data in files.items():
            archive.writestr(name, data)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
