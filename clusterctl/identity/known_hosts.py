"""What the user's own ssh has: whom it trusts, and the keys it would offer. The files only, not ``~/.ssh/config``."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.identity.endpoints import SSH_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncssh

_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
_PRIVATE = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True)
class Trust:
    """What is known of a host's key."""

    key: str = ""
    """As ``ssh-ed25519 AAAA...``; empty: none is known."""
    authority: bool = False
    """Only keys signed by a certificate authority are trusted there."""


def user_name() -> str:
    """Who logs in elsewhere where nobody is named: the same name as here."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a uid without a name: a container
        return "root"


def private_keys() -> list[Path]:
    """The private keys that ssh offers by itself."""
    return [path for path in (Path.home() / ".ssh" / name for name in _PRIVATE) if path.is_file()]


def known_hosts_files() -> list[Path]:
    """The user's list of trusted host keys, and this computer's."""
    usual = (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
    return [path for path in usual if path.is_file()]


class KnownHosts:
    """Lists of trusted host keys, read once. Lines that nobody can read are left out, as ssh does."""

    def __init__(self, files: Sequence[Path] | None = None) -> None:
        """Read these files; by default the user's and this computer's."""
        import asyncssh  # 0.2 s to load, and most commands need no such list

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

    def look_up(self, host: str, port: int) -> Trust:
        """What is known of the key of this host: the best one of those that are not revoked."""
        keys, authorities, revoked, *_ = self._list.match(host.lower(), "", None if port == SSH_PORT else port)
        texts = [_text(key) for key in keys if key not in revoked]
        best = sorted((text for text in texts if text.split()[0] in _PREFERRED), key=_rank)
        return Trust(best[0] if best else "", authority=bool(authorities) and not best)


def public_key(text: str) -> str:
    """A public key as ``type base64``, of a .pub file's line or of one that ssh-keyscan prints.

    Raises:
        ValueError: it is none, or none of a kind that a host can be known by here.
    """
    import asyncssh

    words = text.split()
    start = next((place for place, word in enumerate(words[:2]) if word in _PREFERRED), None)
    if start is None:
        raise ValueError(f"expected one of {', '.join(_PREFERRED)}, then the key")
    try:
        return _text(asyncssh.import_public_key(" ".join(words[start : start + 2])))
    except asyncssh.KeyImportError as exc:
        raise ValueError(str(exc)) from exc


def _text(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def _rank(text: str) -> int:
    return _PREFERRED.index(text.split()[0])
