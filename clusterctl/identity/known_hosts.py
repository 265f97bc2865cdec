"""The files of the user's own ssh: known host keys, and private keys. ``~/.ssh/config`` is not read."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.files import user_home
from clusterctl.identity.endpoints import SSH_PORT
from clusterctl.laptop.places import SYSTEM_KNOWN_HOSTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import asyncssh

_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
_PRIVATE = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True)
class KnownKey:
    """The known key of a host."""

    key: str = ""
    """The host key as ``ssh-ed25519 AAAA...``; empty if none is known."""
    authority: bool = False
    """True if only keys that a certificate authority signed are trusted for this host."""


def default_login_name() -> str:
    """Return the default user for logins: the name of the user of this computer."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a uid without a name: a container
        return "root"


def private_keys() -> list[Path]:
    """Return the private key files that ssh offers by default."""
    return [path for path in (user_home() / ".ssh" / name for name in _PRIVATE) if path.is_file()]


def known_hosts_files() -> list[Path]:
    """Return the existing known_hosts files: the user's and this computer's."""
    usual = (user_home() / ".ssh" / "known_hosts", SYSTEM_KNOWN_HOSTS)
    return [path for path in usual if path.is_file()]


class KnownHosts:
    """The host keys of known_hosts files, read once. Invalid lines are ignored, as in ssh."""

    def __init__(self, files: Sequence[Path] | None = None) -> None:
        """Read these files, by default the user's and this computer's."""
        import asyncssh  # the import takes 0.2 s, and most commands do not need it

        self._list = asyncssh.SSHKnownHosts()
        for path in known_hosts_files() if files is None else files:
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            for line in lines:
                try:
                    self._list.load(line)
                except ValueError:
                    continue

    def find_key(self, host: str, port: int) -> KnownKey:
        """Return the known key of this host: the preferred one of those that are not revoked."""
        keys, authorities, revoked, *_ = self._list.match(host.lower(), "", None if port == SSH_PORT else port)
        texts = [_format_key(key) for key in keys if key not in revoked]
        best = sorted((text for text in texts if text.split()[0] in _PREFERRED), key=_preference_rank)
        return KnownKey(best[0] if best else "", authority=bool(authorities) and not best)


def parse_public_key(text: str) -> str:
    """Return a public key as ``type base64``, from a line of a .pub file or of ssh-keyscan.

    Raises:
        ValueError: the line is not a public key of a supported type.
    """
    import asyncssh

    words = text.split()
    start = next((place for place, word in enumerate(words[:2]) if word in _PREFERRED), None)
    if start is None:
        raise ValueError(f"expected one of {', '.join(_PREFERRED)}, then the key")
    try:
        return _format_key(asyncssh.import_public_key(" ".join(words[start : start + 2])))
    except asyncssh.KeyImportError as exc:
        raise ValueError(str(exc)) from exc


def _format_key(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def _preference_rank(text: str) -> int:
    return _PREFERRED.index(text.split()[0])
