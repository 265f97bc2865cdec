"""Takes secrets out of texts that somebody else will read: those that are known, and what looks like one."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_HIDDEN = "***"
_SHORTEST = 6
"""A shorter secret hides nothing: it would be found in half of all words."""
_NAMES = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_URL_USER = re.compile(r"(?<=://)[^/\s@]+@")
_URL_TOKEN = re.compile(r"(?<=[?&]token=)[^&\s\"'<>]+")
_ASSIGNED = re.compile(
    r"""((?:secret|token|passw\w*|api_?key|credential)\w*["']?\s*(?:[:=]\s*|\bis\b\s*)["']?)([^\s"',;&]+)""",
    re.IGNORECASE,
)


class Scrubber:
    """Replaces secrets in texts by ``***``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def scrub(self, text: str) -> str:
        """Return the text without secrets."""
        if self._known:
            text = self._known.sub(_HIDDEN, text)
        text = _KEY_BLOCK.sub(_HIDDEN, text)
        text = _URL_USER.sub(f"{_HIDDEN}@", text)
        text = _URL_TOKEN.sub(_HIDDEN, text)
        return _ASSIGNED.sub(rf"\1{_HIDDEN}", text)


def secrets_of_folder(folder: Path) -> Iterator[str]:
    """Yield the secrets in the files of a cluster's folder: keys, tokens and passwords of connections."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield from _named_secrets(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue  # it goes into no report
    for path in sorted(folder.glob("id_*")):
        if path.suffix != ".pub":
            try:
                yield from path.read_text(encoding="utf-8").splitlines()
            except (OSError, ValueError):
                continue


def _named_secrets(value: object, name: str = "") -> Iterator[str]:
    """Yield the texts in a JSON document that stand under a name such as ``key``, and the tokens of its URLs."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _named_secrets(part, str(key))
    elif isinstance(value, list):
        for part in value:
            yield from _named_secrets(part, name)
    elif isinstance(value, str):
        if _NAMES.search(name):
            yield value
        elif "://" in value:
            yield from url_secrets(value)


def url_secrets(url: str) -> Iterator[str]:
    """Yield the password in a URL, and the values of its query that are named like secrets."""
    try:
        parts = urlsplit(url)
        yield from (text for text in (parts.username, parts.password) if text and parts.password)
        yield from (value for name, value in parse_qsl(parts.query) if _NAMES.search(name))
    except ValueError:
        return


def secrets_of_options(values: Iterable[object]) -> Iterator[str]:
    """Yield the options that are secrets, also those in lists."""
    for value in values:
        if isinstance(value, Secret):
            yield value.reveal()
        elif isinstance(value, tuple | list):
            yield from secrets_of_options(value)


def secrets_of_environment(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield the values of variables that are named like secrets, and what URLs in the others hold."""
    for name, value in environment.items():
        if _NAMES.search(name):
            yield value
        elif "://" in value:
            yield from url_secrets(value)
