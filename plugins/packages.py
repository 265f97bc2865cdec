"""Python packages: one lock for the whole cluster, one virtual environment a node.

The lock is made on the laptop before anything is created, so a misspelt package costs nothing. An environment is built
by uv once a machine for each lock, kept in the node's cache, and cloned by hard links from there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import uv

from clusterctl.api import (
    Cluster,
    CommaList,
    Facet,
    Field,
    Node,
    Plan,
    PluginError,
    Request,
    Section,
    hookimpl,
    render,
)

_OUT_OF_REACH = ("error sending request", "Failed to fetch", "dns error", "Connection refused", "timed out")


class Options(Section):
    """The options of the `packages` plugin."""

    packages: CommaList = Field((), description="requirements to install on every node, as pip writes them")
    lock_max_age: float = Field(
        24.0,
        ge=0,
        description="hours for which a lock made for the same packages is used again without asking the index",
    )


class Packages:
    """Installs what all plugins ask for, at the same versions on every node."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = ""

    @staticmethod
    @hookimpl
    def clusterctl_settings() -> type[Section]:
        """The options of `[plugin packages]`."""
        return Options

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The packages named in the section."""
        return Request(pip=self._options.packages)

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster, plan: Plan) -> None:
        """Resolve all plugins' packages together, once."""
        requirements = "\n".join(plan.request.pip) + "\n"
        key = hashlib.sha256(f"{_python()}\n{requirements}".encode()).hexdigest()[:16]
        kept = cluster.folder / f"lock-{key}.txt"
        if not kept.exists():
            kept.write_text(self._find_lock(cluster, key, requirements), encoding="utf-8")
        self._lock = kept.read_text(encoding="utf-8")
        cluster.remember("environment", self._digest())
        cluster.remember("python", _python())

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Give the node the environment of the lock, and the files that plugins asked for."""
        request = cluster.request
        if request.apt and Facet.MACHINE not in node.facets:
            cluster.say(f"{node.alias}: system packages are not needed here ({', '.join(request.apt)})")
        script = render(
            "packages_join.sh.j2",
            layout=node.layout,
            python=_python(),
            lock=self._lock,
            digest=self._digest(),
            files=request.files,
        )
        cluster.on(node).run_script(script, name="packages: environment")

    def _digest(self) -> str:
        return hashlib.sha256(f"{_python()}\n{self._lock}".encode()).hexdigest()[:16]

    def _find_lock(self, cluster: Cluster, key: str, requirements: str) -> str:
        """A recent lock of the same requirements, else a new one; an old one if the index is out of reach."""
        cache = _cache_folder() / f"{key}.txt"
        age_h = (time.time() - cache.stat().st_mtime) / 3600 if cache.exists() else float("inf")
        if age_h <= self._options.lock_max_age:
            return cache.read_text(encoding="utf-8")
        cluster.say(f"Resolving {len(requirements.split())} packages")
        try:
            lock = _resolve(requirements)
        except _IndexOutOfReachError:
            if not cache.exists():
                raise
            cluster.problem(f"the package index is out of reach: using the versions resolved {age_h:.0f} hours ago")
            return cache.read_text(encoding="utf-8")
        with suppress(OSError):  # only a cache
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(lock, encoding="utf-8")
        return lock


class _IndexOutOfReachError(PluginError):
    """Nobody answers where packages should come from."""


def _python() -> str:
    """The laptop's Python as MAJOR.MINOR: functions that are sent to engines need the same on both sides."""
    return ".".join(platform.python_version_tuple()[:2])


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clusterctl" / "locks"


def _resolve(requirements: str) -> str:
    """Lock requirements for every platform.

    Raises:
        PluginError: they cannot be had together, or not at all; uv's explanation is in the message.
    """
    command = [
        uv.find_uv_bin(),
        "pip",
        "compile",
        "-",
        "--quiet",
        "--universal",
        "--no-header",
        "--no-annotate",
    ]
    result = subprocess.run(
        [*command, "--python-version", _python(), "--python", sys.executable],
        input=requirements,
        capture_output=True,
        text=True,
    )
    if result.returncode == 0:
        return result.stdout
    said = result.stderr.strip()
    if any(sign in said for sign in _OUT_OF_REACH):
        raise _IndexOutOfReachError(
            f"the package index is out of reach:\n{said}",
            remedy="check the network and the proxy, or name another index in UV_DEFAULT_INDEX",
        )
    raise PluginError(f"the packages cannot be resolved:\n{said}", remedy="check their names and versions in PACKAGES")
