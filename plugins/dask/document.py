"""What the master says of its scheduler, checked: a node's word is hostile until then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clusterctl.api import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = ("ca", "cert", "host", "key", "token", "version")
_PORTS = ("dashboard", "scheduler")
_PEM = ("ca", "cert", "key")


def parse_document(text: str) -> dict[str, Any]:
    """Return the document that workers and the laptop go by.

    Raises:
        PluginError: it is none.
    """
    try:
        said = json.loads(text)
        document: dict[str, Any] = {name: said[name] for name in (*_TEXTS, *_PORTS)}
    except (ValueError, KeyError, TypeError):
        document = {}
    if not document or not _is_as_agreed(document):
        raise PluginError(
            "the master's word about Dask cannot be read",
            remedy="the same `start` makes it anew; `clusterctl logs` shows what happened there",
        )
    return document


def _is_as_agreed(document: Mapping[str, Any]) -> bool:
    texts = all(isinstance(document[name], str) and len(document[name]) < 10_000 for name in _TEXTS)
    ports = all(type(document[name]) is int and 0 < document[name] < 65536 for name in _PORTS)
    # distributed takes what has no line end for the path of a file.
    return texts and ports and all(document[name].startswith("-----BEGIN ") and "\n" in document[name] for name in _PEM)
