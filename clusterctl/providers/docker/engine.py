"""The Docker engine of this computer: where it is, whether it answers, and its errors as ours. Knows the SDK."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clusterctl.errors import ProviderError
from clusterctl.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import APIClient

_USUAL = "/var/run/docker.sock"
_OF_DESKTOP = (".docker/run/docker.sock", ".docker/desktop/docker.sock")
"""Below the user's home, where Docker Desktop puts its socket."""
_ANSWER_S = 60
_KNOCK_S = 5
_POOL = 16
"""Connections kept: one for each thread that may ask at once."""
_OURS = frozenset({"localhost", "127.0.0.1", "::1"})
NO_ENGINE = "PROVIDER = local needs no Docker"


class Engine:
    """One engine, asked for the first time when somebody needs it. The SDK is loaded then: it takes 0.2 s."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.address = address(environ)
        self._lock = threading.Lock()
        self._api: APIClient | None = None

    @property
    def api(self) -> APIClient:
        """The SDK's client.

        Raises:
            ProviderError: there is no engine that answers on this computer.
        """
        with self._lock:
            if self._api is None:
                self._api = self._connect()
            return self._api

    def trouble(self) -> Problem | None:
        """Why there is no engine to work with; None where there is one."""
        try:
            _ = self.api
        except ProviderError as exc:
            return Problem(exc.message, exc.remedy)
        return None

    def _connect(self) -> APIClient:
        _refuse_unreachable(self.address)
        from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env

        options = kwargs_from_env(environment={**self._environ, "DOCKER_HOST": self.address})
        try:
            return APIClient(version="auto", timeout=_ANSWER_S, max_pool_size=_POOL, **options)
        except (DockerException, OSError) as exc:
            # OSError: certificates that are not there, and what requests raises.
            raise _no_answer(self.address, exc) from exc


@contextmanager
def asking(what: str, *, remedy: str = "") -> Iterator[None]:
    """Turn what the SDK raises into an error of ours.

    Args:
        what: what the engine is asked to do, to stand behind "Docker could not".
        remedy: what to do if it refuses; by default, to look whether it is well.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as exc:
        raise ProviderError(
            f"Docker could not {what}: {said(exc)}",
            remedy=remedy or "see whether the engine is well: `docker info`; then run the command again",
        ) from exc


def said(exc: BaseException) -> str:
    """What the engine said, without the SDK's words around it."""
    return str(getattr(exc, "explanation", None) or exc).strip()


def is_missing(exc: BaseException) -> bool:
    """Whether the engine says that there is no such thing."""
    return getattr(exc, "status_code", None) == 404


def address(environ: Mapping[str, str]) -> str:
    """Where the engine is, found as Docker's own tools find it: $DOCKER_HOST, the context in use, the usual place."""
    named = environ.get("DOCKER_HOST") or _of_context(environ)
    if named:
        return named
    home = Path(environ.get("HOME") or "~").expanduser()
    places = [Path(_USUAL), *(home / place for place in _OF_DESKTOP)]
    return f"unix://{next((place for place in places if place.exists()), places[0])}"


def _of_context(environ: Mapping[str, str]) -> str:
    """The address in the Docker context that is in use; empty for the default one, or one that cannot be read."""
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "~") / ".docker").expanduser()
    try:
        name = environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext", "")
        if name in {"", "default"}:
            return ""
        meta = _read(folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json")
        return str(meta["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _refuse_unreachable(where: str) -> None:
    """Say at once, without the SDK, what cannot work."""
    parts = urlsplit(where)
    if parts.scheme not in {"unix", "http+unix"}:
        if parts.hostname not in _OURS:
            raise ProviderError(
                f"the Docker engine {where} is not on this computer: its nodes could not be reached from here",
                remedy="unset DOCKER_HOST, or choose another context (`docker context use default`); for other"
                " computers there is PROVIDER = static",
            )
        return
    try:
        Path(parts.path).stat()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_KNOCK_S)
            probe.connect(parts.path)
    except FileNotFoundError:
        raise ProviderError(f"there is no Docker engine here: no {parts.path}", remedy=_how_to_get_one()) from None
    except PermissionError:
        raise ProviderError(
            f"you may not use the Docker engine here: {parts.path} is closed to you",
            remedy=f"join its group: `sudo usermod -aG docker $USER`, then log in again; {NO_ENGINE}",
        ) from None
    except OSError as exc:
        raise _no_answer(where, exc) from exc


def _no_answer(where: str, exc: BaseException) -> ProviderError:
    start = "open Docker Desktop" if sys.platform == "darwin" else "`sudo systemctl start docker`"
    return ProviderError(
        f"the Docker engine {where} does not answer: {said(exc)}", remedy=f"start it: {start}; {NO_ENGINE}"
    )


def _how_to_get_one() -> str:
    if sys.platform == "darwin":
        return f"install Docker Desktop (https://docs.docker.com/desktop/) and open it; {NO_ENGINE}"
    return f"install one: `sudo apt-get install docker.io`, or Docker Desktop; {NO_ENGINE}"
