"""The way in without HTTP: what botocore would send from this process is handed over by a call of a function."""

from __future__ import annotations

import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from botocore.httpsession import URLLib3Session

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HOST = ".clusterctl-standin.invalid"
"""No name server knows it, ever (RFC 2606)."""


class Inside:
    """An address for botocore's clients in this process. `handle` gets their requests in the threads that ask.

    An answer of None is to them as if the connection were closed without a word.
    """

    _open: dict[str, Inside] = {}
    _lock = threading.Lock()

    def __init__(self, name: str, handle: Callable[[wire.Request], wire.Answer | None]) -> None:
        self.handle = handle
        self.url = f"http://{name}{_HOST}"
        with self._lock:
            self._open[self.url] = self

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self._open.pop(self.url, None)

    def answer(self, request: Any) -> AWSResponse:
        """Answer what botocore has prepared to send."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        body = request.body or b""
        path = request.url.removeprefix(self.url) or "/"
        answer = self.handle(wire.read(request.method, path, headers, body.encode() if isinstance(body, str) else body))
        if answer is None:
            raise ConnectionClosedError(endpoint_url=request.url, error="the stand-in has lost it")
        response = AWSResponse(request.url, answer.status, dict(answer.headers), _Body(answer.body))
        _ = response.content  # read, as botocore's own session does
        return response

    @classmethod
    def of(cls, url: str) -> Inside | None:
        """The one that a request to this URL is for, or None where it is for the network.

        Raises:
            EndpointConnectionError: it was closed.
        """
        address = "/".join(url.split("/", 3)[:3])
        if not address.endswith(_HOST):
            return None
        with cls._lock:
            found = cls._open.get(address)
        if found is None:
            raise EndpointConnectionError(endpoint_url=url, error="nobody is there any more")
        return found


class _Body:
    """What urllib3 would read from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def install() -> None:
    """Have all sessions of botocore in this process look whom a request is for."""
    send = URLLib3Session.send

    @wraps(send)
    def send_or_hand_over(session: URLLib3Session, request: Any) -> AWSResponse:
        inside = Inside.of(request.url)
        return send(session, request) if inside is None else inside.answer(request)

    URLLib3Session.send = send_or_hand_over


install()
