"""The laptop's end of a question about detached maps: what makes no sense is not believed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from clusterctl.clients.detached.model import DetachedError, Order, Status
from clusterctl.errors import RemoteError, StateError
from clusterctl.operations.nodes.detached import ClientMaps, RemoteStore, _parse_clients

STATUS = Status("a", "done", 2, 2, "d", 1.0)
ORDER = Order("a", b"function", b"items", "d", 2, 0, None, {})


class Command:
    """A command on a node that answers so."""

    def __init__(self, answer, errors, status):
        self._answer, self._errors, self._status = [answer], [errors], status
        self.written = b""

    def read(self, _size):
        return self._answer.pop() if self._answer else b""

    def read_errors(self, _size):
        return self._errors.pop() if self._errors else b""

    def write(self, data):
        self.written += data

    def end_input(self):
        pass

    def wait(self):
        return self._status

    def close(self):
        pass


@pytest.fixture
def asked(tmp_path):
    """A store whose master answers so; what was sent there; how often somebody logged in."""

    def make(answer, errors=b"", status=0):
        commands = []

        def start(command, *, idle_s):
            assert command.endswith("bin/python -m clusterctl.clients.serve_detached")
            commands.append(Command(answer, errors, status))
            return commands[-1]

        remote = SimpleNamespace(connect=lambda: None, start_command=start)
        cluster = SimpleNamespace(on=lambda _: remote, close=lambda: commands.append("closed"))
        master = SimpleNamespace(alias="master", layout=SimpleNamespace(env=tmp_path / "env"))
        store = RemoteStore("lab", lambda: (cluster, master))
        return store, commands

    return make


def said(content=b"", **head):
    return json.dumps({"said": STATUS.as_json(), "size": len(content), **head}).encode() + b"\n" + content


def test_an_order_goes_there_with_its_bytes_behind_it(asked):
    store, commands = asked(said())
    assert store.submit(ORDER) == STATUS
    head, _, content = commands[0].written.partition(b"\n")
    assert content == b"functionitems"
    assert json.loads(head)["order"] == {
        "name": "a", "digest": "d", "total": 2, "star": 0, "most": None, "options": {}
    }  # fmt: skip


def test_records_come_as_they_are(asked):
    store, _ = asked(said(b"\x00\n\xff"))
    assert store.read("a", 0, 1) == (STATUS, b"\x00\n\xff")


def test_an_error_of_the_master_is_ours(asked):
    store, _ = asked(json.dumps({"error": "no room", "remedy": "df"}).encode() + b"\n")
    with pytest.raises(DetachedError, match="no room"):
        store.look("a")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xff\n",
        b"[]\n",
        b"{}\n",
        said(size=-1),
        said(size="x"),
        said(b"abc")[:-1],
        said(said={"name": "a"}),
        said(said=[]),
    ],
)
def test_what_makes_no_sense_is_an_error_and_the_next_question_logs_in_anew(asked, answer):
    store, commands = asked(answer)
    with pytest.raises(RemoteError, match="asked for detached maps"):
        store.look("a")
    assert "closed" in commands


def test_a_cluster_of_an_older_version_is_named(asked):
    store, _ = asked(b"", b"python: No module named clusterctl", 1)
    with pytest.raises(StateError, match="started by an older version or without") as caught:
        store.look("a")
    assert "clusterctl start lab" in caught.value.remedy


def test_what_clients_map_is_believed_where_it_makes_sense():
    rows = [["client-a", 5, 2.5], [7, 5, 1], ["b", -1, 2], ["c", 1, True], ["d\x1b[2J", 1, 0]]
    assert _parse_clients(rows) == [ClientMaps("client-a", 5, 2.5), ClientMaps("d\\x1b[2J", 1, 0.0)]
