"""Locks of requirements: exact versions for every platform, resolved by uv on the laptop."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import uv

from clusterctl.environment.requirements import CONSTRAINT
from clusterctl.environment.variables import own_process_environment
from clusterctl.errors import NewerFormatError, PluginError
from clusterctl.files import ensure_folder, user_home, write_atomically
from clusterctl.formats import VERSION, Format
from clusterctl.laptop.places import find_intruder
from clusterctl.laptop.trust import system_trust
from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUT_OF_REACH = ("error sending request", "Failed to fetch", "dns error", "Connection refused", "timed out")
_UNTRUSTED = "invalid peer certificate"
_LOCAL = re.compile(r"^(-e\b|\.{0,2}/|\S+ @ (git\+)?file:|file:)")

_FORMAT = Format("the lock of packages", 1)
_STAMP = re.compile(r"^# clusterctl format (?P<number>\d+) written by (?P<writer>\S+)\n\Z", re.MULTILINE)


@dataclass(frozen=True)
class Index:
    """The source of packages, if it is not uv's default. The URLs may hold credentials."""

    default: Secret | None = None
    extra: tuple[Secret, ...] = ()
    find_links: tuple[str, ...] = ()
    """URLs of pages, or folders, with wheels. A folder must exist on the laptop and on the nodes."""
    only_links: bool = False
    """Use no index, only `find_links`."""

    def environment(self) -> dict[str, Secret]:
        """Return settings of uv as environment variables. Credentials must not be in arguments."""
        settings = {
            "UV_DEFAULT_INDEX": self.default.reveal() if self.default else "",
            "UV_INDEX": " ".join(url.reveal() for url in self.extra),
            "UV_FIND_LINKS": ",".join(self.find_links),
        }
        return {name: Secret(value) for name, value in settings.items() if value}

    def arguments(self) -> tuple[str, ...]:
        """Return the settings that uv takes from its command line only."""
        return ("--no-index",) if self.only_links else ()

    def content(self) -> str:
        """Return everything that decides which versions exist, without credentials. Empty for uv's default."""
        links = [split_credentials(url)[1] for url in (*self._index_urls(), *self.find_links)]
        return "\n".join([*links, *self.arguments()])

    def hide(self, text: str) -> str:
        """Return a text of uv with the credentials replaced by ``***``."""
        for url in self._index_urls():
            credentials, _ = split_credentials(url)
            for secret in (credentials, *credentials.split(":", 1)[1:]):
                text = text.replace(secret, "***") if secret else text
        return text

    def _index_urls(self) -> tuple[str, ...]:
        return tuple(url.reveal() for url in (self.default, *self.extra) if url)


class IndexOutOfReachError(PluginError):
    """The package index does not answer."""


def split_urls(text: Secret) -> tuple[Secret, ...]:
    """Return the URLs of a text, separated by commas or blanks. Each is a secret, as the text is."""
    return tuple(Secret(url) for url in re.split(r"[,\s]+", text.reveal()) if url)


def python() -> str:
    """Return the laptop's Python version as MAJOR.MINOR. Engines need the same for functions that are sent to them."""
    return ".".join(platform.python_version_tuple()[:2])


def uv_version() -> str:
    """Return the version of the laptop's uv. Nodes use the same version."""
    return version("uv")


def cache_file(name: str) -> Path:
    """Return the file that keeps a lock for all clusters of this computer, by the name that `key` gives.

    0.1 named it ``NAME.txt``. It takes every line for a requirement, the one about the format too, and must
    not find it.
    """
    return _user_cache() / "clusterctl" / "locks" / f"{name}.lock"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or user_home() / ".cache")


def write_lock(path: Path, lock: str) -> None:
    """Write a lock to a file, with the number of its format in a last line."""
    stamp = f"# clusterctl format {_FORMAT.number} written by {VERSION}\n"
    write_atomically(path, lock + ("" if lock.endswith("\n") or not lock else "\n") + stamp)


def write_cached(path: Path, lock: str) -> None:
    """Write a lock to the cache, unless other users could put files there.

    Raises:
        OSError: it cannot be written.
    """
    ensure_folder(path.parent)
    if not find_intruder(path.parent):
        write_lock(path, lock)


def read_lock(path: Path, known_digest: str | None = None) -> str | None:
    """Return the lock that a file holds, without the line about its format; None if the file is missing or damaged.

    A file that was cut short lacks that last line. Those of the first version have none: they are believed if their
    content is known to be right.

    Args:
        path: the file.
        known_digest: the digest of the right content, if it is known.

    Raises:
        NewerFormatError: a newer version wrote it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    stamp = _STAMP.search(text)
    if stamp:
        _FORMAT.check(stamp["number"], stamp["writer"], path)
    if known_digest is not None and digest(text) == known_digest:
        return text  # the first version took a last line of ours, found in the cache, for a part of the lock
    if stamp is None:
        return None
    lock = text[: stamp.start()]
    return lock if known_digest in {None, digest(lock)} else None


def read_cached(path: Path, known_digest: str | None = None) -> str | None:
    """Return the lock in a file of the cache; None if there is none that this version can read.

    One that another user could have put there is none.

    Args:
        path: the file.
        known_digest: the digest of a lock that the cluster has already: a file with this content is whole.
    """
    if find_intruder(path):
        return None
    try:
        return read_lock(path) or (read_lock(path, known_digest) if known_digest else None)
    except NewerFormatError:
        return None


def key(requirements: Sequence[str], index: Index | None = None) -> str:
    """Return the name of the lock of these requirements, resolved from this index."""
    content = index.content() if index else ""
    known = [python(), *requirements, *([content] if content else []), ""]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


def digest(lock: str) -> str:
    """Return the name of the environment that a lock describes."""
    return hashlib.sha256(f"{python()}\n{lock}".encode()).hexdigest()[:16]


def local_lines(lock: str) -> list[str]:
    """Return the lines of a lock that refer to files of the laptop."""
    return [line for line in lock.splitlines() if _LOCAL.match(line)]


def adds_only(former: str, lock: str) -> bool:
    """Return whether a lock has all that a former one has, in the same versions."""
    return _pins(former) <= _pins(lock)


def _pins(lock: str) -> set[str]:
    return {line for line in map(str.strip, lock.splitlines()) if line and not line.startswith("#")}


def resolve(requirements: Sequence[str], index: Index, *, former: str = "") -> str:
    """Return the lock of requirements, for every platform.

    Args:
        requirements: in pip's notation.
        index: where packages come from.
        former: a lock whose versions stay where they can.

    Raises:
        IndexOutOfReachError: no index answers.
        PluginError: the requirements cannot be resolved; the message has uv's explanation.
    """
    packages = [line for line in requirements if not line.startswith(CONSTRAINT)]
    constraint_lines = [line.removeprefix(CONSTRAINT) for line in requirements if line.startswith(CONSTRAINT)]
    command = [uv.find_uv_bin(), "pip", "compile", "-", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += ["--python-version", python(), "--python", sys.executable, *index.arguments()]
    with suppress(OSError):  # uv would make the user's cache folder, and open to all
        ensure_folder(_user_cache())
    with tempfile.TemporaryDirectory(prefix="clusterctl-") as folder:
        if constraint_lines:
            constraints = Path(folder) / "constraints.txt"
            constraints.write_text("\n".join(constraint_lines) + "\n", encoding="utf-8")
            command += ["--constraints", str(constraints)]
        preferred = Path(folder) / "lock.txt"
        if former:  # uv keeps the versions that it finds there, and writes the lock there too
            preferred.write_text(former, encoding="utf-8")
            command += ["--output-file", str(preferred)]
        result = subprocess.run(
            command,
            input="\n".join(packages) + "\n",
            capture_output=True,
            text=True,
            env={
                **own_process_environment(os.environ),
                **system_trust(os.environ),
                **{name: value.reveal() for name, value in index.environment().items()},
            },
        )
        if result.returncode == 0:
            return preferred.read_text(encoding="utf-8") if former else result.stdout
    raise _resolve_error(index.hide(result.stderr.strip()))


def _resolve_error(output: str) -> PluginError:
    """Return what uv's explanation means."""
    if _UNTRUSTED in output:
        return IndexOutOfReachError(
            f"the certificate of the package index is not trusted here:\n{output}",
            remedy="have this computer trust your authority, or name the file of its certificate in SSL_CERT_FILE",
        )
    if any(sign in output for sign in _OUT_OF_REACH):
        return IndexOutOfReachError(
            f"the package index is out of reach:\n{output}",
            remedy="check the network and the proxy, or name another index in UV_DEFAULT_INDEX or INDEX_URL",
        )
    return PluginError(
        f"the packages cannot be resolved:\n{output}",
        remedy="check their names and versions in PACKAGES and the files that [plugin packages] names;"
        " with SYNC, leave out what no index has by SYNC_EXCLUDE",
    )


def split_credentials(url: str) -> tuple[str, str]:
    """Return the credentials in a URL, and the URL without them."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    return credentials, urlunsplit(parts._replace(netloc=host)) if at else url
