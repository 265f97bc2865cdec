"""Gets the program uv, in one version, onto a machine that has Python and nothing else.

Where from is in uv's own variables of the environment: UV_INDEX, UV_DEFAULT_INDEX, UV_FIND_LINKS.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import os
import platform
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

_SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_WAITS_S = (1, 3)
_NAME_WAITS_S = (1, 2, 4, 8, 8, 8)
"""A machine that has just booted may have no name server yet, and a busy one may say no for a moment."""
_SERVER_ERROR = 500


class ListedFile(NamedTuple):
    """A file that an index lists."""

    name: str
    url: str
    sha256: str
    """Empty where the index does not tell."""


def get(url: str, accept: str = "*/*", near: str = "") -> tuple[bytes, str]:
    """Return what is at a URL, and its type. The credentials of the index `near` are for its own host only."""
    waits, name_waits = iter(_WAITS_S), iter(_NAME_WAITS_S)
    while True:
        try:
            # The scheme is that of the index or of the folder which the user has named.
            with urllib.request.urlopen(_request(url, accept, near), timeout=60) as answer:  # noqa: S310
                body = answer.read()
                packed = answer.headers.get("Content-Encoding") == "gzip"
                return gzip.decompress(body) if packed else body, answer.headers.get_content_type()
        except (OSError, EOFError) as exc:
            wait_s = next(name_waits if _has_no_name_server(exc) else waits, None)
            if wait_s is None or _is_final(exc):
                raise
            time.sleep(wait_s)


def _has_no_name_server(exc: Exception) -> bool:
    reason = getattr(exc, "reason", None)
    return isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_AGAIN


def _is_final(exc: Exception) -> bool:
    """Return whether the next attempt would say the same."""
    if isinstance(exc, urllib.error.HTTPError):
        return exc.code < _SERVER_ERROR
    reason = getattr(exc, "reason", None)
    if isinstance(reason, socket.gaierror):
        return reason.errno != socket.EAI_AGAIN
    return isinstance(reason, (ConnectionRefusedError, ssl.SSLCertVerificationError))


def _request(url: str, accept: str, near: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    index_login, _, index_host = urllib.parse.urlsplit(near).netloc.rpartition("@")
    if not login and host == index_host:
        login = index_login
    address = urllib.parse.urlunsplit(parts._replace(netloc=host))
    request = urllib.request.Request(address)  # noqa: S310  see above
    request.add_header("Accept", accept)
    request.add_header("Accept-Encoding", "gzip")
    if login:
        user, _, password = (urllib.parse.unquote(part) for part in login.partition(":"))
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def list_files(source: str) -> list[ListedFile]:
    """Return the files of an index's page, of a page of links, or of a folder."""
    if source.startswith("/"):
        return [ListedFile(path.name, path.as_uri(), "") for path in Path(source).iterdir()]
    body, kind = get(source, _SIMPLE)
    if kind.endswith("json"):
        links = [(file["url"], file.get("hashes", {}).get("sha256", "")) for file in json.loads(body)["files"]]
    else:
        anchors = re.findall(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)""", body.decode("utf-8", "replace"), re.IGNORECASE)
        split = [html.unescape(anchor).partition("#sha256=") for anchor in anchors]
        links = [(link.partition("#")[0], digest.partition("&")[0]) for link, _, digest in split]
    files = [(urllib.parse.urljoin(source, link), digest) for link, digest in links]
    return [ListedFile(urllib.parse.unquote(url.rsplit("/", 1)[-1]), url, digest) for url, digest in files]


def fits(name: str, version: str) -> bool:
    """Return whether a wheel of uv in this version runs on this machine."""
    match = re.fullmatch(rf"uv-{re.escape(version)}-py3-none-(.+)\.whl", name)
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    tags = match.group(1).split(".") if match else []
    return any(tag.startswith(libc) and tag.endswith(f"_{platform.machine()}") for tag in tags)


def fetch_wheel(source: str, version: str) -> bytes | None:
    """Return the wheel, whole and as its index says; None where the source has none that fits."""
    wheels = sorted(file for file in list_files(source) if fits(file.name, version))
    if not wheels:
        return None
    wheel = wheels[0]  # the one for the oldest system
    body, _ = get(wheel.url, near=source)
    if wheel.sha256 and hashlib.sha256(body).hexdigest() != wheel.sha256:
        raise ValueError("the file is not what the index says (SHA-256)")
    return body


def sources(environment: dict[str, str], *, only_links: bool) -> list[str]:
    """Return the pages and folders to look at, in their order."""
    default = environment.get("UV_DEFAULT_INDEX") or "https://pypi.org/simple"
    indexes = [*environment.get("UV_INDEX", "").split(), default]
    pages = [index.partition("=")[2] if re.match(r"[\w-]+=", index) else index for index in indexes]
    links = [source for source in environment.get("UV_FIND_LINKS", "").split(",") if source]
    return links + ([] if only_links else [page.rstrip("/") + "/uv/" for page in pages])


def without_credentials(text: str) -> str:
    """Return a text that may be shown."""
    return re.sub("//[^/@]*@", "//***@", text)


def install(wheel: bytes, version: str, target: Path) -> None:
    """Write the program of a wheel, whole or not at all."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        program = archive.read(f"uv-{version}.data/scripts/uv")
    draft = target.with_name(f"{target.name}.draft")  # one script at a time: that of a killed one is written over
    draft.write_bytes(program)
    draft.chmod(0o755)
    draft.replace(target)


def main(values: dict[str, Any]) -> str | None:
    """Write uv of `version` to `target`; with `only_links` no index is asked. Return what failed."""
    version, failed = values["version"], []
    for source in sources(dict(os.environ), only_links=values["only_links"]):
        try:
            wheel = fetch_wheel(source, version)
        except (OSError, EOFError, ValueError, KeyError) as exc:
            failed.append(f"{without_credentials(source)}: {without_credentials(str(exc))}")
            continue
        if wheel is None:
            failed.append(f"{without_credentials(source)}: has none for {platform.machine()}")
            continue
        install(wheel, version, Path(values["target"]))
        return None
    return "\n".join([f"Failed to fetch uv {version}:", *failed])
