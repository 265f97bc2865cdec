"""Whether an index answers, and that nobody but the index sees the credentials."""

from __future__ import annotations

import base64
import ssl
import urllib.error
from contextlib import contextmanager

import pytest

from clusterctl.environment import index_answer
from clusterctl.environment.index_answer import ask_source, shown, sources_of
from clusterctl.environment.lock import Index, IndexOutOfReachError
from clusterctl.secret import Secret

SOURCE = Secret("https://me:hunter2@pypi.example.org/simple?token=hunter2")


def urls(index, **environ):
    return [source.reveal() for source in sources_of(index, environ)]


class TestSources:
    def test_pypi_unless_something_else_is_said(self):
        assert urls(Index()) == ["https://pypi.org/simple"]
        assert urls(Index(), UV_DEFAULT_INDEX="https://a/simple") == ["https://a/simple"]
        assert urls(Index(default=Secret("https://b/simple")), UV_DEFAULT_INDEX="https://a/simple") == [
            "https://b/simple"
        ]

    def test_further_ones_and_pages_with_links(self):
        index = Index(extra=(Secret("https://c/simple"),), find_links=("/wheels",))
        assert urls(index, UV_INDEX="https://d") == ["https://pypi.org/simple", "https://c/simple", "/wheels"]
        assert urls(Index(), UV_INDEX="own=https://d https://e?a=b") == [
            *("https://pypi.org/simple", "https://d", "https://e?a=b")
        ]

    def test_no_index_where_none_may_be_asked(self):
        assert urls(Index(find_links=("/wheels",), only_links=True), UV_INDEX="https://d") == ["/wheels"]


@pytest.fixture
def web(monkeypatch):
    """An answer in place of the network: an error to raise, or None. It keeps the requests."""

    class Web:
        answer: BaseException | None = None
        requests: list = []

    made = Web()
    made.requests = []

    @contextmanager
    def urlopen(request, *, timeout):
        made.requests.append((request, timeout))
        if made.answer is not None:
            raise made.answer
        yield None

    monkeypatch.setattr(index_answer.urllib.request, "urlopen", urlopen)
    return made


def status(code):
    return urllib.error.HTTPError("https://me:hunter2@x", code, "no", {}, None)


class TestAnswer:
    def test_credentials_go_to_the_index_and_nowhere_else(self, web):
        assert ask_source(SOURCE) == "https://pypi.example.org/simple answers"
        ((request, timeout),) = web.requests
        word = base64.b64encode(b"me:hunter2").decode()
        assert (request.get_method(), timeout) == ("HEAD", 5.0)
        assert request.full_url == "https://pypi.example.org/simple?token=hunter2"
        assert request.unredirected_hdrs["Authorization"] == f"Basic {word}"
        assert "Authorization" not in request.headers

    @pytest.mark.parametrize("code", [404, 405])
    def test_an_index_without_a_page_of_its_own_answers(self, web, code):
        web.answer = status(code)
        assert ask_source(SOURCE).endswith("answers")

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (status(401), "refuses the login (HTTP 401)"),
            (status(403), "refuses the login (HTTP 403)"),
            (status(502), "does not work (HTTP 502)"),
            (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
            (TimeoutError("timed out"), "does not answer: TimeoutError"),
            (ValueError("unknown url: https://me:hunter2@"), "it is no URL"),
            (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        ],
    )
    def test_what_is_wrong_is_said_without_credentials(self, web, answer, text):
        web.answer = answer
        with pytest.raises(IndexOutOfReachError) as caught:
            ask_source(SOURCE)
        error = caught.value
        assert text in error.message
        assert error.remedy
        assert "hunter2" not in f"{error.message} {error.remedy} {error.__cause__}"

    def test_a_certificate_that_nobody_here_trusts_has_a_remedy_of_its_own(self, web):
        error = ssl.SSLCertVerificationError(1, "failed")
        error.verify_message = "self-signed certificate"
        web.answer = urllib.error.URLError(error)
        with pytest.raises(IndexOutOfReachError, match="does not trust its certificate: self-signed") as caught:
            ask_source(SOURCE)
        assert "SSL_CERT_FILE" in caught.value.remedy

    def test_a_folder_of_wheels_is_there_or_not(self, web, tmp_path):
        assert ask_source(Secret(str(tmp_path))) == f"{tmp_path} is a folder here"
        assert ask_source(Secret(f"file://{tmp_path}")).endswith("is a folder here")
        with pytest.raises(IndexOutOfReachError, match="no folder on this computer"):
            ask_source(Secret(str(tmp_path / "none")))
        assert web.requests == []


def test_what_is_shown_has_no_credentials():
    assert shown(SOURCE) == "https://pypi.example.org/simple"
