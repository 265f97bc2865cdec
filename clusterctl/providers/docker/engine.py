"""The Docker engine of this computer: its address, whether it answers, and its errors as ours. Knows the SDK."""

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
from clusterctl.files import expand_user, user_home
from clusterctl.laptop.places import DOCKER_INSTALL, DOCKER_PIPE, DOCKER_SOCKETS, DOCKER_START, WITHOUT_LOCAL_NODES
from clusterctl.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import APIClient

_ANSWER_S = 60
_PROBE_S = 5
_POOL = 16
"""Number of connections kept: one for each thread that may call at once."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
NO_ENGINE = f"PROVIDER = {'static' if WITHOUT_LOCAL_NODES else 'local'} needs no Docker"


class Engine:
    """One Docker engine. The connection is made at the first use, which also loads the SDK (0.2 s)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.address = engine_address(environ)
        self._lock = threading.Lock()
        self._api: APIClient | None = None

    @property
    def api(self) -> APIClient:
        """The client of the SDK.

        Raises:
            ProviderError: no engine answers on this computer.
        """
        with self._lock:
            if self._api is None:
                self._api = self._create_client()
            return self._api

    def find_problem(self) -> Problem | None:
        """Return the problem if the engine cannot be used, else None."""
        try:
            _ = self.api
        except ProviderError as exc:
            return Problem(exc.message, exc.remedy)
        return None

    def _create_client(self) -> APIClient:
        _refuse_unreachable(self.address)
        with _without_ssh():
            from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env

        options = kwargs_from_env(environment={**self._environ, "DOCKER_HOST": self.address})
        try:
            return APIClient(version="auto", timeout=_ANSWER_S, max_pool_size=_POOL, **options)
        except (DockerException, OSError) as exc:
            # OSError: missing certificates, and the errors of requests.
            raise _no_answer_error(self.address, exc) from exc


@contextmanager
def _without_ssh() -> Iterator[None]:
    """Load the SDK without its way to an engine by SSH, which we refuse: that loads paramiko, half of it all."""
    name = "docker.transport.sshconn"
    unknown = name not in sys.modules
    if unknown:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's word for: cannot be imported
    try:
        yield
    finally:
        if unknown:
            del sys.modules[name]


@contextmanager
def translate_errors(what: str, *, remedy: str = "") -> Iterator[None]:
    """Turn errors of the SDK into ProviderError.

    Args:
        what: the task of the engine, as it follows "Docker could not" in the message.
        remedy: the remedy if the engine refuses; by default, to check the engine.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as exc:
        raise ProviderError(
            f"Docker could not {what}: {error_text(exc)}",
            remedy=remedy or "see whether the engine is well: `docker info`; then run the command again",
        ) from exc


def error_text(exc: BaseException) -> str:
    """Return the message of the engine without the text that the SDK adds."""
    return str(getattr(exc, "explanation", None) or exc).strip()


def is_missing(exc: BaseException) -> bool:
    """Return whether the engine says that the object does not exist."""
    return getattr(exc, "status_code", None) == 404


def engine_address(environ: Mapping[str, str]) -> str:
    """Return the engine's address as Docker's own tools find it: $DOCKER_HOST, the current context, the default."""
    named = environ.get("DOCKER_HOST") or _context_address(environ)
    if named:
        return named
    home = expand_user(Path(environ.get("HOME") or user_home()))
    places = [home / place for place in DOCKER_SOCKETS]  # an absolute one stays as it is
    return DOCKER_PIPE or f"unix://{next((place for place in places if place.exists()), places[0])}"


def _context_address(environ: Mapping[str, str]) -> str:
    """Return the address of the current Docker context; empty for the default context or an unreadable one."""
    folder = expand_user(Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or user_home()) / ".docker"))
    try:
        name = environ.get("DOCKER_CONTEXT") or _read_json(folder / "config.json").get("currentContext", "")
        if name in {"", "default"}:
            return ""
        meta = _read_json(folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json")
        return str(meta["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _refuse_unreachable(address: str) -> None:
    """Raise ProviderError at once, without the SDK, for an address that cannot work."""
    parts = urlsplit(address)
    if DOCKER_PIPE and parts.scheme == "npipe":
        return  # the SDK knows what it answers
    if parts.scheme not in {"unix", "http+unix"}:
        if parts.hostname not in _LOOPBACK_NAMES:
            raise ProviderError(
                f"the Docker engine {address} is not on this computer: its nodes could not be reached from here",
                remedy="unset DOCKER_HOST, or choose another context (`docker context use default`); for other"
                " computers there is PROVIDER = static",
            )
        return
    try:
        Path(parts.path).stat()
        with socket.socket(getattr(socket, "AF_UNIX", socket.AF_INET)) as probe:
            probe.settimeout(_PROBE_S)
            probe.connect(parts.path)
    except FileNotFoundError:
        raise ProviderError(f"there is no Docker engine here: no {parts.path}", remedy=_install_advice()) from None
    except PermissionError:
        raise ProviderError(
            f"you may not use the Docker engine here: {parts.path} is closed to you",
            remedy=f"join its group: `sudo usermod -aG docker $USER`, then log in again; {NO_ENGINE}",
        ) from None
    except OSError as exc:
        raise _no_answer_error(address, exc) from exc


def _no_answer_error(where: str, exc: BaseException) -> ProviderError:
    return ProviderError(
        f"the Docker engine {where} does not answer: {error_text(exc)}", remedy=f"start it: {DOCKER_START}; {NO_ENGINE}"
    )


def _install_advice() -> str:
    return f"start it: {DOCKER_START}; if there is none, {DOCKER_INSTALL}; {NO_ENGINE}"
