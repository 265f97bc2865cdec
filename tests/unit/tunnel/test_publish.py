"""The last step: files that say how to reach the services, whole and private."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace

import pytest

from clusterctl.journal import ClusterFolder
from clusterctl.model import Connection, Facet
from clusterctl.secret import Secret
from clusterctl.testing import fake_node
from clusterctl.tunnel import process as tunnel
from clusterctl.tunnel import publish as connections

CLIENT = Connection(
    "client",
    host="127.0.0.1",
    ports={"mux": 15001, "task": 15002},
    document={"key": "k", "mux": 15001, "task": 15002},
    summary="2 engines",
)
NOTEBOOK = Connection("notebook", host="127.0.0.1", ports={"web": 15003}, url=Secret("http://127.0.0.1:{web}/?t=s"))


@pytest.fixture
def folder(tmp_path):
    made = ClusterFolder(tmp_path, "lab")
    made.path.mkdir(parents=True)
    return made


def test_where_the_laptop_reaches_the_ports_the_files_name_them(folder):
    client, notebook = connections.publish_connections(folder, fake_node(), [CLIENT, NOTEBOOK], mode="auto")
    assert client.file == folder.path / "client.json"
    assert json.loads(client.file.read_text()) == {"key": "k", "mux": 15001, "task": 15002}
    assert client.summary == "2 engines"
    assert notebook.url.reveal() == "http://127.0.0.1:15003/?t=s"
    assert notebook.file is None
    assert "t=s" not in repr(notebook)


def test_all_files_are_for_their_owner_only(folder):
    connections.publish_connections(folder, fake_node(), [CLIENT, NOTEBOOK], mode="auto")
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {
        "client.json": 0o600,
        "connections.json": 0o600,
    }


def test_what_was_published_is_known_to_the_next_command(folder):
    assert connections.read_published(folder) == []
    made = connections.publish_connections(folder, fake_node(), [CLIENT, NOTEBOOK], mode="never")
    assert connections.read_published(folder) == made
    assert isinstance(connections.read_published(folder)[1].url, Secret)


def test_withdraw_takes_all_of_it_away_and_may_be_repeated(folder):
    connections.publish_connections(folder, fake_node(), [CLIENT, NOTEBOOK], mode="auto")
    connections.withdraw_connections(folder)
    connections.withdraw_connections(folder)
    assert list(folder.path.iterdir()) == []
    assert connections.read_published(folder) == []


def test_publishing_nothing_is_no_error(folder):
    assert connections.publish_connections(folder, fake_node(), [], mode="auto") == []


@pytest.mark.parametrize(
    ("mode", "facets", "tunnels"),
    [
        ("auto", {Facet.DIRECT}, False),
        ("auto", set(), True),
        ("always", {Facet.DIRECT}, True),
        ("never", set(), False),
    ],
)
class TestTunnel:
    @pytest.fixture
    def processes(self, monkeypatch):
        """Stand-ins for the tunnel's process, which is in tests/e2e/test_tunnel.py: what happened to each."""
        found = []

        class Fake:
            def __init__(self, folder):
                found.append(self)
                self.folder, self.told = folder, []

            def become_tunnel(self):
                self.told.append("go")

            def end_unused(self):
                self.told.append("drop")

        monkeypatch.setattr(tunnel, "StandbyProcess", Fake)
        return found

    def test_it_is_opened_only_where_one_is_needed(self, folder, processes, allow_loopback, mode, facets, tunnels):
        connections.publish_connections(folder, fake_node(facets=frozenset(facets)), [CLIENT], mode=mode)
        assert [process.folder for process in processes] == ([folder.path] if tunnels else [])

    def test_a_process_is_prepared_only_where_one_is_needed(self, folder, processes, mode, facets, tunnels):
        with connections.prepare_tunnel(folder, facets, mode=mode) as waiting:
            assert (waiting is not None) == tunnels
        assert len(processes) == tunnels

    def test_the_one_that_was_prepared_becomes_the_tunnel(
        self, folder, processes, allow_loopback, mode, facets, tunnels
    ):
        node = fake_node(facets=frozenset(facets))
        with connections.prepare_tunnel(folder, facets, mode=mode) as waiting:
            connections.publish_connections(folder, node, [CLIENT], mode=mode, standby=waiting)
        assert [process.told for process in processes] == ([["go", "drop"]] if tunnels else [])

    def test_one_that_nobody_needed_ends(self, folder, processes, mode, facets, tunnels):
        with pytest.raises(KeyboardInterrupt), connections.prepare_tunnel(folder, facets, mode=mode):
            raise KeyboardInterrupt
        assert [process.told for process in processes] == ([["drop"]] if tunnels else [])


class TestForwards:
    @pytest.fixture
    def publish(self, folder, monkeypatch, allow_loopback):
        monkeypatch.setattr(tunnel, "StandbyProcess", lambda folder: SimpleNamespace(become_tunnel=lambda: None))

        def publish(*found):
            made = connections.publish_connections(folder, fake_node(facets=frozenset()), found, mode="auto")
            return made, {forward.port: forward.local_port for forward in tunnel.read_forwards(folder.path)}

        return publish

    def test_each_port_gets_one_here_and_it_takes_its_place_in_file_and_url(self, publish):
        (client, notebook), ports = publish(CLIENT, NOTEBOOK)
        assert set(ports) == {15001, 15002, 15003}
        document = json.loads(client.file.read_text())
        assert (document["mux"], document["task"]) == (ports[15001], ports[15002])
        assert notebook.url.reveal() == f"http://127.0.0.1:{ports[15003]}/?t=s"

    def test_a_port_that_is_taken_here_is_given_another_number(self, publish):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            taken = other.getsockname()[1]
            _, ports = publish(Connection("x", host="127.0.0.1", ports={"web": taken}))
        assert ports[taken] != taken

    def test_no_two_ports_get_the_same_one(self, publish):
        _, ports = publish(Connection("x", host="127.0.0.1", ports={str(n): 20000 + n for n in range(30)}))
        assert len(set(ports.values())) == 30

    def test_a_port_keeps_its_number_so_that_live_clients_find_their_way_back(self, publish):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            taken = other.getsockname()[1]
            _, before = publish(Connection("x", host="127.0.0.1", ports={"web": taken}))
        _, after = publish(Connection("x", host="127.0.0.1", ports={"web": taken}), CLIENT)
        assert after[taken] == before[taken]


def test_a_url_whose_port_is_another_users_is_not_given(folder, monkeypatch):
    connections.publish_connections(folder, fake_node(), [CLIENT, NOTEBOOK], mode="never")
    monkeypatch.setattr(connections, "is_another_users", lambda port: port == 15003)
    client, notebook = connections.read_published(folder)
    assert (client.taken, notebook.taken, notebook.url) == (False, True, None)
    assert notebook.place == "another user's program has its port, 15003"
    monkeypatch.setattr(connections, "is_another_users", lambda port: False)
    assert connections.read_published(folder)[1].url  # it is kept for when the port is free again
