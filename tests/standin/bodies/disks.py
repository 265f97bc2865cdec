"""Data volumes: files of this computer that outlive the instances they are attached to, each behind a loop device."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .cache import CACHE
from .subnet import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..instances.machine_view import Disk
    from .subnet import Subnet


@dataclass(frozen=True)
class Plugged:
    """A volume that is attached, as the kernel knows it."""

    volume: str
    device: Path

    @property
    def line(self) -> str:
        """The kernel's name and numbers, and Amazon's serial number: what a body needs to show it."""
        number = self.device.stat().st_rdev
        return f"{self.device.name} {os.major(number)} {os.minor(number)} {self.volume.replace('-', '')}\n"


class Shelf:
    """The volumes of a run, as a context manager. Their contents are gone with it, not with who had them."""

    def __init__(self, subnet: Subnet = USUAL) -> None:
        self._subnet = subnet
        self._lock = threading.Lock()
        self._plugged: dict[str, Plugged] = {}
        self._holders: dict[str, str] = {}

    def __enter__(self) -> Shelf:
        _clear(self._subnet)
        return self

    def __exit__(self, *_: object) -> None:
        _clear(self._subnet)

    def give(self, holder: str, disks: Iterable[Disk]) -> list[Plugged]:
        """Plug in exactly these for this holder, and unplug what it had besides. New ones are blank."""
        with self._lock:
            wanted = list(disks)
            found = [self._plug(disk) for disk in wanted]
            had = {volume for volume, owner in self._holders.items() if owner == holder}
            self._holders.update({disk.volume: holder for disk in wanted})
            for volume in had - {disk.volume for disk in wanted}:
                del self._holders[volume]
                _run("losetup", "--detach", str(self._plugged.pop(volume).device))
            return found

    def _plug(self, disk: Disk) -> Plugged:
        file = volume_file(disk, self._subnet)
        if disk.volume in self._plugged:
            _run("losetup", "--set-capacity", str(self._plugged[disk.volume].device))
        else:
            device = _run("losetup", "--find", "--show", str(file))
            self._plugged[disk.volume] = Plugged(disk.volume, Path(device))
        return self._plugged[disk.volume]


def volume_file(disk: Disk, subnet: Subnet = USUAL) -> Path:
    """The file of a volume, as large as the volume is now."""
    folder = _folder(subnet)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / disk.volume
    with file.open("ab") as opened:
        opened.truncate(disk.size_gb << 30)
    return file


def _folder(subnet: Subnet) -> Path:
    """Where the volumes of the run are that has this subnet."""
    return CACHE / f"standin-disks-{subnet.key}"


def _clear(subnet: Subnet) -> None:
    """Unplug and delete every volume, a killed run's too."""
    folder = _folder(subnet)
    if not folder.exists():
        return
    for file in folder.iterdir():
        for device in _run("losetup", "--associated", str(file), "--noheadings", "--output", "NAME").split():
            _run("losetup", "--detach", device)
    shutil.rmtree(folder)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()
