"""One lock for requirements: exact versions for every platform, resolved by uv on the laptop."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import uv

from clusterctl.environment.requirements import CONSTRAINT
from clusterctl.errors import PluginError
from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUT_OF_REACH = ("error sending request", "Failed to fetch", "dns error", "Connection refused", "timed out")
_LOCAL = re.compile(r"^(-e\b|\.{0,2}/|\S+ @ (git\+)?file:|file:)")


@dataclass(frozen=True)
class Index:
    """Where packages come from, when not from where uv looks by itself. The URLs may hold credentials."""

    default: Secret | None = None
    extra: tuple[Secret, ...] = ()
    find_links: tuple[str, ...] = ()
    """URLs of pages, or folders, of wheels; a folder must be both on the laptop and on the nodes."""
    only_links: bool = False
    """Ask no index at all."""

    def environment(self) -> dict[str, Secret]:
        """Settings of uv. Credentials belong into an environment, never into arguments."""
        settings = {
            "UV_DEFAULT_INDEX": self.default.reveal() if self.default else "",
            "UV_INDEX": " ".join(url.reveal() for url in self.extra),
            "UV_FIND_LINKS": ",".join(self.find_links),
        }
        return {name: Secret(value) for name, value in settings.items() if value}

    def arguments(self) -> tuple[str, ...]:
        """What uv takes from its command line alone."""
        return ("--no-index",) if self.only_links else ()

    def content(self) -> str:
        """What decides which versions there are: all but the credentials. Empty for uv's own choice."""
        links = [_parted(url)[1] for url in (*self._urls(), *self.find_links)]
        return "\n".join([*links, *self.arguments()])

    def hide(self, text: str) -> str:
        """The text without the credentials, however uv quotes them."""
        for url in self._urls():
            credentials, _ = _parted(url)
            for secret in (credentials, *credentials.split(":", 1)[1:]):
                text = text.replace(secret, "***") if secret else text
        return text

    def _urls(self) -> tuple[str, ...]:
        return tuple(url.reveal() for url in (self.default, *self.extra) if url)


class IndexOutOfReachError(PluginError):
    """Nobody answers where packages should come from."""


def split_urls(text: Secret) -> tuple[Secret, ...]:
    """URLs separated by commas or blanks, each as secret as the text."""
    return tuple(Secret(url) for url in re.split(r"[,\s]+", text.reveal()) if url)


def python() -> str:
    """The laptop's Python as MAJOR.MINOR: functions that are sent to engines need the same on both sides."""
    return ".".join(platform.python_version_tuple()[:2])


def uv_version() -> str:
    """The laptop's uv: nodes use the same."""
    return version("uv")


def cache_folder() -> Path:
    """Where locks are kept, of all clusters together."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clusterctl" / "locks"


def key(requirements: Sequence[str], index: Index | None = None) -> str:
    """The name of the lock of these requirements, from an index of one's own if there is one."""
    content = index.content() if index else ""
    known = [python(), *requirements, *([content] if content else []), ""]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


def digest(lock: str) -> str:
    """The name of the environment that a lock describes."""
    return hashlib.sha256(f"{python()}\n{lock}".encode()).hexdigest()[:16]


def local_lines(lock: str) -> list[str]:
    """What of a lock only the laptop has."""
    return [line for line in lock.splitlines() if _LOCAL.match(line)]


def resolve(requirements: Sequence[str], index: Index) -> str:
    """Lock requirements for every platform.

    Raises:
        IndexOutOfReachError: no index answers.
        PluginError: they cannot be had together, or not at all; uv's explanation is in the message.
    """
    wanted = [line for line in requirements if not line.startswith(CONSTRAINT)]
    limits = [line.removeprefix(CONSTRAINT) for line in requirements if line.startswith(CONSTRAINT)]
    command = [uv.find_uv_bin(), "pip", "compile", "-", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += ["--python-version", python(), "--python", sys.executable, *index.arguments()]
    with tempfile.TemporaryDirectory(prefix="clusterctl-") as folder:
        if limits:
            constraints = Path(folder) / "constraints.txt"
            constraints.write_text("\n".join(limits) + "\n", encoding="utf-8")
            command += ["--constraints", str(constraints)]
        result = subprocess.run(
            command,
            input="\n".join(wanted) + "\n",
            capture_output=True,
            text=True,
            env={**os.environ, **{name: value.reveal() for name, value in index.environment().items()}},
        )
    if result.returncode == 0:
        return result.stdout
    said = index.hide(result.stderr.strip())
    if any(sign in said for sign in _OUT_OF_REACH):
        raise IndexOutOfReachError(
            f"the package index is out of reach:\n{said}",
            remedy="check the network and the proxy, or name another index in UV_DEFAULT_INDEX or INDEX_URL",
        )
    raise PluginError(
        f"the packages cannot be resolved:\n{said}",
        remedy="check their names and versions in PACKAGES and the files that [plugin packages] names;"
        " with SYNC, leave out what no index has by SYNC_EXCLUDE",
    )


def _parted(url: str) -> tuple[str, str]:
    """The credentials in a URL, and the URL without them."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    return credentials, urlunsplit(parts._replace(netloc=host)) if at else url
