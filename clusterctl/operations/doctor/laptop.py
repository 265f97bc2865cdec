"""What `doctor` looks at on the laptop: our files and who may read them, free space, versions."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from clusterctl.environment.lock import python, uv_version
from clusterctl.formats import VERSION
from clusterctl.laptop.places import is_own, permissions_of
from clusterctl.operations.doctor.checks import Check, Finding, Outcome
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLACE = "laptop"
_OTHERS, _OTHERS_WRITE = 0o077, 0o022
_SECRET_FILES = ("id_ed25519", "client.json", "connections.json", "tunnel.json", "config.json")
_FULL_MB, _NEARLY_FULL_MB = 100, 1000


def checks_of_laptop(home: Path) -> list[Check]:
    """Return the checks of this computer.

    Args:
        home: the folder of all our files.
    """
    disk = str(home)
    return [
        Check(PLACE, "versions", "the versions of our own packages", lambda: [look_at_versions()]),
        Check(PLACE, "files", f"the file system of {disk}", lambda: look_at_files(home)),
        Check(PLACE, "disk", f"the file system of {disk}", lambda: [look_at_disk(home)]),
    ]


def look_at_versions() -> Finding:
    """Return which versions are here."""
    text = f"clusterctl {VERSION}, Python {python()}, uv {uv_version()}"
    return Finding(PLACE, "versions", Outcome.OK, text)


def look_at_files(home: Path) -> list[Finding]:
    """Return the folders, keys and files that are somebody else's, or that others may read."""
    if not home.exists():
        return [Finding(PLACE, "files", Outcome.OK, f"{home} is not made yet")]
    if not os.access(home, os.W_OK | os.X_OK):
        remedy = f"sudo chown -R $(id -u) {shlex.quote(str(home))}; chmod u+rwx {shlex.quote(str(home))}"
        return [Finding(PLACE, "files", Outcome.FAILED, f"{home} cannot be written", remedy)]
    troubles = list(_troubles_of_files(home))
    if troubles:
        return troubles
    clusters = plural(len(_cluster_folders(home)), "cluster")
    return [Finding(PLACE, "files", Outcome.OK, f"{home}, with {clusters}, is closed to others")]


def _cluster_folders(home: Path) -> list[Path]:
    return sorted(path for path in (home / "clusters").glob("*") if path.is_dir())


def _troubles_of_files(home: Path) -> Iterator[Finding]:
    yield from _trouble_of(home, closed=_OTHERS_WRITE, mode="go-w", outcome=Outcome.FAILED)
    yield from _trouble_of(home / "config", closed=_OTHERS, mode="600", outcome=Outcome.WARNING)
    for folder in _cluster_folders(home):
        yield from _trouble_of(folder, closed=_OTHERS, mode="700", outcome=Outcome.FAILED)
        for name in _SECRET_FILES:
            yield from _trouble_of(folder / name, closed=_OTHERS, mode="600", outcome=Outcome.FAILED)


def _trouble_of(path: Path, *, closed: int, mode: str, outcome: Outcome) -> Iterator[Finding]:
    """Yield what is wrong with a file or folder. One that is missing is fine.

    Args:
        path: the file or folder.
        closed: the permissions that it may not give.
        mode: the one that it shall have, as `chmod` takes it.
        outcome: how bad it is that others may use it.
    """
    quoted = shlex.quote(str(path))
    try:
        permissions = permissions_of(path)
        own = is_own(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        remedy = f"ls -ld {quoted}"
        yield Finding(PLACE, "files", Outcome.FAILED, f"{path} cannot be read: {exc.strerror or exc}", remedy)
        return
    if not own:
        remedy = f"sudo chown -R $(id -u) {quoted}"
        yield Finding(PLACE, "files", Outcome.FAILED, f"{path} belongs to another user", remedy)
    elif permissions is not None and permissions & closed:
        text = f"other users may {'write' if closed == _OTHERS_WRITE else 'use'} {path} ({permissions:04o})"
        yield Finding(PLACE, "files", outcome, text, f"chmod {mode} {quoted}")


def look_at_disk(home: Path) -> Finding:
    """Return how much space is left for our files."""
    existing = next(path for path in (home, *home.parents) if path.exists())
    free_mb = shutil.disk_usage(existing).free // 1_000_000
    return space_finding(PLACE, free_mb, str(existing), f"du -xhd1 {shlex.quote(str(existing))} | sort -h")


def space_finding(place: str, free_mb: int, where: str, remedy: str) -> Finding:
    """Return the finding of so much free space."""
    text = f"{free_mb / 1000:.1f} GB are free in {where}"
    if free_mb < _FULL_MB:
        return Finding(place, "disk", Outcome.FAILED, text, remedy)
    if free_mb < _NEARLY_FULL_MB:
        return Finding(place, "disk", Outcome.WARNING, text, remedy)
    return Finding(place, "disk", Outcome.OK, text)
