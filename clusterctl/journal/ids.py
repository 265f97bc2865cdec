"""The ids of clusters: a random text for each, which tells it from every other one of its name."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from typing import TYPE_CHECKING

from clusterctl.files import append_lines

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9+/:=._-]{0,79}")


def new_id() -> str:
    """Return an id that no other cluster has."""
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    """Return whether a text can be an id."""
    return bool(_ID.fullmatch(text))


def fingerprint(public_key: str) -> str:
    """Return the fingerprint of an OpenSSH public key, as ssh shows it: ``SHA256:...``.

    Raises:
        ValueError: the text is no key.
    """
    words = public_key.split()
    if len(words) < 2:
        raise ValueError("a public key has a type and a text in base64")
    blob = base64.b64decode(words[1] + "==")
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def known_ids(home: Path) -> frozenset[str]:
    """Return the ids of all clusters that this home has made or taken over, those that have ended among them."""
    try:
        lines = _ids_file(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(words[0] for line in lines if (words := line.split()) and is_id(words[0]))


def remember_id(home: Path, id_: str, name: str) -> None:
    """Remember that a cluster is of this home.

    Raises:
        OSError: the file cannot be written.
    """
    if id_ in known_ids(home):
        return
    append_lines(_ids_file(home), f"{id_} {name}\n")


def _ids_file(home: Path) -> Path:
    return home / "ids.txt"
