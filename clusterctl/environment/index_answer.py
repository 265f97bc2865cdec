"""Whether the sources of packages answer. uv itself would ask each several times, and patiently."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from clusterctl.environment.lock import IndexOutOfReachError, split_credentials
from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.environment.lock import Index

_PYPI = "https://pypi.org/simple"
_ANSWER_S = 5.0
_REFUSED = frozenset({401, 403, 407})
_BROKEN = 500


def sources_of(index: Index, environ: Mapping[str, str]) -> list[Secret]:
    """Return the URLs and folders that uv takes packages from. They may hold credentials.

    Args:
        index: the settings of the cluster.
        environ: the environment variables, which count where the settings say nothing, as they do for uv.
    """
    usual = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or _PYPI
    default = index.default.reveal() if index.default else usual
    extra = [url.reveal() for url in index.extra]
    extra = extra or f"{environ.get('UV_INDEX', '')} {environ.get('UV_EXTRA_INDEX_URL', '')}".split()
    indexes = () if index.only_links else (default, *map(_without_name, extra))
    return list(map(Secret, dict.fromkeys((*indexes, *index.find_links))))


def _without_name(index: str) -> str:
    """Return the URL of ``NAME=URL``."""
    name, equals, url = index.partition("=")
    return url if equals and "/" not in name else index


def shown(source: Secret) -> str:
    """Return a URL without credentials."""
    return split_credentials(source.reveal())[1].partition("?")[0]


def ask_source(source: Secret) -> str:
    """Return a few words on a source that answers.

    Raises:
        IndexOutOfReachError: it does not answer, or refuses the login. The message has no credentials.
    """
    credentials, url = split_credentials(source.reveal())
    place = shown(source)
    if urlsplit(url).scheme not in {"http", "https"}:
        return _look_at_folder(url.removeprefix("file://"), place)
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "clusterctl"})  # noqa: S310  see above
    if credentials:
        word = base64.b64encode(unquote(credentials).encode()).decode()
        # Not followed to another host.
        request.add_unredirected_header("Authorization", f"Basic {word}")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S):  # noqa: S310  see above
            return f"{place} answers"
    except urllib.error.HTTPError as exc:
        return _judge(exc.code, place)
    except (OSError, ValueError) as exc:  # ValueError: a URL that is none
        raise _no_answer(place, exc) from None  # the cause may show the URL


def _look_at_folder(folder: str, place: str) -> str:
    if Path(folder).is_dir():
        return f"{place} is a folder here"
    raise IndexOutOfReachError(
        f"{place} is no folder on this computer",
        remedy="correct it in INDEX_URL, EXTRA_INDEX_URLS or FIND_LINKS, or in UV_DEFAULT_INDEX or UV_INDEX",
    )


def _judge(status: int, place: str) -> str:
    """Return words on an HTTP status. An index need not have a page of its own: that it has none is an answer."""
    if status in _REFUSED:
        raise IndexOutOfReachError(
            f"{place} refuses the login (HTTP {status})",
            remedy="correct user and password in INDEX_URL, EXTRA_INDEX_URLS or UV_DEFAULT_INDEX",
        )
    if status >= _BROKEN:
        raise IndexOutOfReachError(
            f"{place} does not work (HTTP {status})", remedy="try later, or name another index in INDEX_URL"
        )
    return f"{place} answers"


def _no_answer(place: str, error: Exception) -> IndexOutOfReachError:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return IndexOutOfReachError(
            f"{place}: this computer does not trust its certificate: {cause.verify_message}",
            remedy="have this computer trust your authority, or name the file of its certificate in SSL_CERT_FILE",
        )
    why = "it is no URL" if isinstance(cause, ValueError) else getattr(cause, "strerror", None) or type(cause).__name__
    return IndexOutOfReachError(
        f"{place} does not answer: {why}",
        remedy="check the network and the proxy (HTTPS_PROXY), or name another index in UV_DEFAULT_INDEX or INDEX_URL",
    )
