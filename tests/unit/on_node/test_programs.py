"""The programs for nodes, function by function: imported as they are, with nothing of a node's around them."""

from __future__ import annotations

import email.message
import hashlib
import hmac
import io
import json
import socket
import sys
import xmlrpc.client
from types import SimpleNamespace

import pytest

from clusterctl.on_node.system import fetch_uv, tell_instance, update_supervisord
from clusterctl.on_node.with_ipyparallel import forget_engines, hub_client


class TestUpdateSupervisord:
    class Supervisor:
        """Two services changed, one came, one went; of the processes some are at rest."""

        def __init__(self, **states):
            self.calls, self.states = [], states

        def reloadConfig(self):  # noqa: N802
            return [[["new"], ["changed"], ["gone"]]]

        def getAllProcessInfo(self):  # noqa: N802
            return [{"group": name, "name": f"{name}-0", "statename": state} for name, state in self.states.items()]

        def startProcess(self, name, wait):  # noqa: N802
            self.calls.append(f"start {name} {wait}")
            if name.startswith("broken"):
                raise xmlrpc.client.Fault(50, "SPAWN_ERROR")

        def __getattr__(self, name):
            return lambda group: self.calls.append(f"{name} {group}")

    def test_what_is_gone_or_changed_stops_and_what_changed_or_came_begins(self):
        supervisor = self.Supervisor()
        update_supervisord.update(supervisor, [])
        assert supervisor.calls == [
            *(
                "stopProcessGroup gone",
                "removeProcessGroup gone",
                "stopProcessGroup changed",
                "removeProcessGroup changed",
            ),
            *("addProcessGroup changed", "addProcessGroup new"),
        ]

    def test_what_is_at_rest_starts_again_and_one_that_cannot_does_not_keep_the_others(self, capsys):
        supervisor = self.Supervisor(broken="FATAL", up="RUNNING", given_up="FATAL", stopped="STOPPED", other="EXITED")
        update_supervisord.update(supervisor, ["broken", "up", "given_up", "stopped"])
        assert supervisor.calls[6:] == [f"start {name}:{name}-0 False" for name in ("broken", "given_up", "stopped")]
        assert capsys.readouterr().out == "broken-0 SPAWN_ERROR\n"


class TestTellInstance:
    def test_a_token_opens_the_service(self, monkeypatch, capsys):
        asked = []

        def ask(url, method, headers):
            asked.append((method, url, headers))
            return "token" if method == "PUT" else "i-1"

        monkeypatch.setattr(tell_instance, "ask", ask)
        tell_instance.main({"url": "http://here"})
        assert json.loads(capsys.readouterr().out) == {"id": "i-1"}
        assert [(method, url) for method, url, _ in asked] == [
            ("PUT", "http://here/latest/api/token"),
            ("GET", "http://here/latest/meta-data/instance-id"),
        ]
        assert asked[1][2] == {"X-aws-ec2-metadata-token": "token"}

    def test_nobody_there_is_an_empty_answer(self, monkeypatch, capsys):
        def ask(*_):
            raise OSError("no route")

        monkeypatch.setattr(tell_instance, "ask", ask)
        tell_instance.main({"url": "http://here"})
        assert json.loads(capsys.readouterr().out) == {"id": ""}


class TestFetchUv:
    @pytest.mark.parametrize(
        ("libc", "machine", "tags", "expected"),
        [
            ("glibc", "x86_64", "manylinux_2_17_x86_64.manylinux2014_x86_64", True),
            ("glibc", "x86_64", "musllinux_1_1_x86_64", False),
            ("", "x86_64", "musllinux_1_1_x86_64", True),
            ("glibc", "aarch64", "manylinux_2_17_x86_64.manylinux_2_28_aarch64", True),
            ("glibc", "aarch64", "manylinux_2_17_x86_64", False),
        ],
    )
    def test_a_wheel_fits_the_machine_and_its_libc(self, monkeypatch, libc, machine, tags, expected):
        system = SimpleNamespace(libc_ver=lambda: (libc, ""), machine=lambda: machine)
        monkeypatch.setattr(fetch_uv, "platform", system)
        assert fetch_uv.fits(f"uv-1.2.3-py3-none-{tags}.whl", "1.2.3") is expected
        assert not fetch_uv.fits(f"uv-1.2.30-py3-none-{tags}.whl", "1.2.3")

    def test_links_come_before_indexes_and_pypi_is_the_last(self):
        environment = {"UV_FIND_LINKS": "/wheels,https://links", "UV_INDEX": "name=https://one/ https://two"}
        links = ["/wheels", "https://links"]
        indexes = ["https://one/uv/", "https://two/uv/", "https://pypi.org/simple/uv/"]
        assert fetch_uv.sources(environment, only_links=False) == [*links, *indexes]
        assert fetch_uv.sources(environment, only_links=True) == links

    @pytest.mark.parametrize(
        ("failures", "waited_s"),
        [
            ([socket.gaierror(socket.EAI_AGAIN, "no answer")] * 4, [1, 2, 4, 8]),
            ([ConnectionResetError("mid-way")], [1]),
            ([socket.gaierror(socket.EAI_AGAIN, "no answer"), ConnectionResetError("mid-way")], [1, 1]),
        ],
    )
    def test_what_may_pass_is_tried_again(self, opener, failures, waited_s):
        waits = opener([*map(fetch_uv.urllib.error.URLError, failures), io.BytesIO(b"page")])
        assert fetch_uv.get("https://index/uv/")[0] == b"page"
        assert waits == waited_s

    @pytest.mark.parametrize(
        ("failure", "attempts"),
        [
            (socket.gaierror(socket.EAI_AGAIN, "no answer"), 7),
            (socket.gaierror(socket.EAI_NONAME, "no such name"), 1),
            (ConnectionRefusedError("no"), 1),
            (ConnectionResetError("mid-way"), 3),
        ],
    )
    def test_what_lasts_is_raised(self, opener, failure, attempts):
        waits = opener([fetch_uv.urllib.error.URLError(failure)] * 10)
        with pytest.raises(fetch_uv.urllib.error.URLError):
            fetch_uv.get("https://index/uv/")
        assert len(waits) == attempts - 1

    @pytest.fixture
    def opener(self, monkeypatch):
        """Have the URLs answered in this order; returns the list of the waits."""

        def opener(answers):
            waits, left = [], iter(answers)

            def urlopen(_request, timeout):
                answer = next(left)
                if isinstance(answer, Exception):
                    raise answer
                answer.headers = email.message.Message()
                return answer

            monkeypatch.setattr(fetch_uv.urllib.request, "urlopen", urlopen)
            monkeypatch.setattr(fetch_uv, "time", SimpleNamespace(sleep=waits.append))
            return waits

        return opener

    def test_credentials_are_not_shown(self):
        assert fetch_uv.without_credentials("https://me:pw@host/x") == "https://***@host/x"


class TestHubClient:
    def hub(self, **connection):
        hub = object.__new__(hub_client.Hub)
        hub.connection, hub.session, sent = {"key": "", **connection}, "session", []
        hub.socket = SimpleNamespace(send_multipart=sent.append)
        return hub, sent

    def test_a_message_is_signed_with_the_key(self):
        hub, sent = self.hub(key="sesame")
        hub.send("connection_request", {"a": 1})
        ((delimiter, signature, *parts),) = sent
        assert delimiter == b"<IDS|MSG>"
        assert signature.decode() == hmac.new(b"sesame", b"".join(parts), hashlib.sha256).hexdigest()
        header, parent, metadata, content = map(json.loads, parts)
        assert (header["msg_type"], parent, metadata, content) == ("connection_request", {}, {}, {"a": 1})

    def test_where_the_socket_is_encrypted_it_needs_no_signature(self):
        hub, sent = self.hub()
        hub.send("connection_request", {})
        assert sent[0][1] == b""

    def test_engines_are_forgotten_until_none_is_listed(self, monkeypatch):
        hub, _ = self.hub()
        lists, said = [{"1": "a", "3": "b"}, None, {"3": "b"}], []
        monkeypatch.setattr(hub, "send", lambda kind, content: said.append((kind, *content.values())), raising=False)
        monkeypatch.setattr(
            hub, "receive", lambda: {"engines": lists.pop(0)} if lists else {"engines": {}}, raising=False
        )
        hub.socket.poll = lambda _: True
        assert hub.forget(["1", "2"], 60)
        assert [words[1] for words in said if words[0] == "unregistration_request"] == [1]

    def test_a_controller_that_is_silent_is_waited_for_no_longer_than_that(self, monkeypatch):
        hub, _ = self.hub()
        now = iter(range(100))
        monkeypatch.setattr(
            hub_client, "time", SimpleNamespace(monotonic=lambda: next(now), strftime=lambda *_: "", gmtime=str)
        )
        hub.socket.poll = lambda _: False
        assert not hub.forget(["1"], 8)
        assert next(now) < 15

    @pytest.mark.parametrize(("done", "said"), [(True, None), (False, "the controller does not answer")])
    def test_a_spot_nodes_engines_are_those_of_its_arguments(self, monkeypatch, done, said):
        asked = []
        monkeypatch.setattr(forget_engines, "forget_engines", lambda *words: asked.append(words) or done)
        monkeypatch.setattr(sys, "argv", ["goodbye.py", "3", "4"])
        assert forget_engines.main({"connection": "/x.json", "wait_s": 8}) == said
        assert asked == [("/x.json", ["3", "4"], 8)]
