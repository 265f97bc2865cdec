"""The packages of an environment on the laptop, as requirements that install them elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import PluginError
from clusterctl.laptop.places import find_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TOOLS = frozenset({"clusterctl", "pip", "setuptools", "wheel", "uv"})
"""Packages that manage an environment and are not part of the work in it."""
_QUERY = "import json, sys; print(json.dumps(['%d.%d' % sys.version_info[:2], sys.path]))"


@dataclass(frozen=True)
class Installed:
    """An environment on this computer."""

    prefix: Path
    python: str
    """The Python version, as MAJOR.MINOR."""
    pins: tuple[str, ...]
    """``name==version`` for all packages that an index has, sorted by name."""
    left_out: tuple[str, ...]
    """The packages that cannot be installed elsewhere, with the reasons."""


def active(environ: Mapping[str, str]) -> Path:
    """Return the prefix of the user's environment: the active one, else the one that runs clusterctl."""
    return Path(environ.get("VIRTUAL_ENV") or environ.get("CONDA_PREFIX") or sys.prefix)


def read(prefix: Path, *, exclude: Iterable[str] = ()) -> Installed:
    """Return the packages below `prefix`, without `TOOLS`, packages only this computer has, and excluded ones.

    Raises:
        PluginError: the environment has no Python, or it does not run.
    """
    from packaging.utils import canonicalize_name

    python, path = _query_python(prefix)
    unwanted = {canonicalize_name(name) for name in (*TOOLS, *exclude)}
    pins: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for distribution in distributions(path=list(path)):
        name = canonicalize_name(distribution.metadata["Name"] or "")  # without one: what a broken uninstall leaves
        if not name or name in {*unwanted, *pins, *left_out}:
            continue
        pin, reason = _pin_requirement(distribution)
        if pin:
            pins[name] = pin
        else:
            left_out[name] = f"{distribution.metadata['Name']} ({reason})"
    ordered = tuple(pin for _, pin in sorted(pins.items()))
    return Installed(prefix, python, ordered, tuple(text for _, text in sorted(left_out.items())))


def _query_python(prefix: Path) -> tuple[str, Sequence[str]]:
    """Return the version of the environment's Python, and its search path for packages."""
    if prefix.resolve() == Path(sys.prefix).resolve():
        return f"{sys.version_info[0]}.{sys.version_info[1]}", sys.path
    try:
        # -I leaves out PYTHONPATH and the current folder.
        answer = subprocess.run([find_python(prefix), "-I", "-c", _QUERY], capture_output=True, text=True)
        version, path = json.loads(answer.stdout)
    except (OSError, ValueError) as exc:
        raise PluginError(
            f"the environment {prefix} has no Python that runs: {exc}",
            remedy="activate another one, or unset VIRTUAL_ENV and CONDA_PREFIX",
        ) from exc
    return version, path


def _pin_requirement(distribution: Distribution) -> tuple[str, str]:
    """Return the requirement that installs this package again and an empty text; or an empty text and the reason."""
    name, version = distribution.metadata["Name"], distribution.version
    folder = Path(str(distribution.locate_file("")))
    if folder.name not in {"site-packages", "dist-packages"}:
        return "", f"in {folder}"
    if (distribution.read_text("INSTALLER") or "").strip() == "conda":
        return f"{name}=={version}", ""  # its URL is a file on the computer where conda built it
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    url = str(origin.get("url", ""))
    if origin.get("dir_info", {}).get("editable"):
        return "", f"editable: {url.removeprefix('file://')}"
    if url.startswith("file:"):
        return "", url.removeprefix("file://")
    if "vcs_info" in origin:
        commit = origin["vcs_info"].get("commit_id", "")
        return "", f"to have it, write {name} @ {origin['vcs_info'].get('vcs', 'git')}+{url}@{commit} into PACKAGES"
    return (f"{name} @ {url}" if url else f"{name}=={version}"), ""
