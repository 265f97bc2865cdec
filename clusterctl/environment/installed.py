"""What is installed in an environment of the laptop, as requirements that repeat it elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TOOLS = frozenset({"clusterctl", "pip", "setuptools", "wheel", "uv"})
"""What manages an environment, and is not part of the work done in it."""
_ASK = "import json, sys; print(json.dumps(['%d.%d' % sys.version_info[:2], sys.path]))"


@dataclass(frozen=True)
class Installed:
    """An environment of this computer."""

    prefix: Path
    python: str
    """Its Python, as MAJOR.MINOR."""
    pins: tuple[str, ...]
    """``name==version`` of all that an index can give again, by name."""
    left_out: tuple[str, ...]
    """What cannot be had elsewhere, and why."""


def active(environ: Mapping[str, str]) -> Path:
    """Where the environment is that the user works in: the one that is active, else the one that runs clusterctl."""
    return Path(environ.get("VIRTUAL_ENV") or environ.get("CONDA_PREFIX") or sys.prefix)


def read(prefix: Path, *, exclude: Iterable[str] = ()) -> Installed:
    """What is installed below `prefix`, without `TOOLS`, what only this computer has, and what is excluded.

    Raises:
        PluginError: there is no Python in it, or it does not run.
    """
    from packaging.utils import canonicalize_name

    python, path = _ask(prefix)
    unwanted = {canonicalize_name(name) for name in (*TOOLS, *exclude)}
    pins: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for found in distributions(path=list(path)):
        name = canonicalize_name(found.metadata["Name"] or "")  # without one: what a broken uninstall leaves
        if not name or name in {*unwanted, *pins, *left_out}:
            continue
        pin, reason = _pin(found)
        if pin:
            pins[name] = pin
        else:
            left_out[name] = f"{found.metadata['Name']} ({reason})"
    ordered = tuple(pin for _, pin in sorted(pins.items()))
    return Installed(prefix, python, ordered, tuple(text for _, text in sorted(left_out.items())))


def _ask(prefix: Path) -> tuple[str, Sequence[str]]:
    """The version of the environment's Python, and where it looks for packages."""
    if prefix.resolve() == Path(sys.prefix).resolve():
        return f"{sys.version_info[0]}.{sys.version_info[1]}", sys.path
    try:
        # -I: neither PYTHONPATH nor the folder we are in is part of it.
        answer = subprocess.run([prefix / "bin" / "python", "-I", "-c", _ASK], capture_output=True, text=True)
        version, path = json.loads(answer.stdout)
    except (OSError, ValueError) as exc:
        raise PluginError(
            f"the environment {prefix} has no Python that runs: {exc}",
            remedy="activate another one, or unset VIRTUAL_ENV and CONDA_PREFIX",
        ) from exc
    return version, path


def _pin(found: Distribution) -> tuple[str, str]:
    """The requirement that gives this again; or why there is none."""
    name, version = found.metadata["Name"], found.version
    folder = Path(str(found.locate_file("")))
    if folder.name not in {"site-packages", "dist-packages"}:
        return "", f"in {folder}"
    if (found.read_text("INSTALLER") or "").strip() == "conda":
        return f"{name}=={version}", ""  # its URL is that of a file where conda built it
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
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
