"""Off and on again: stop, start, restart, terminate."""

from __future__ import annotations

import json
import socket

import pytest

pytestmark = pytest.mark.e2e

ASK = """
import clusterctl
client = clusterctl.connect()
print(client.ids, client[:].apply_sync(lambda: 1))
client.close()
"""
SIX = ("control", "mux", "task", "iopub", "notification", "broadcast")


@pytest.mark.slow
@pytest.mark.usefixtures("cold_start")
def test_a_stopped_cluster_comes_back_as_it_was_even_where_a_port_is_taken(new_laptop, tmp_path):
    laptop = new_laptop('it\'s "höme" 50%;#')
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=1", "power")
    laptop.run("sshmaster", "power", "sh", "-c", "echo kept > kept")
    connection = laptop.folder("power") / "client.json"
    before = json.loads(connection.read_text())

    assert "power is stopped (2 nodes)" in laptop.run("stop", "--yes", "power").stdout
    assert laptop.processes() == []
    assert not connection.exists()
    (found,) = laptop.json("list", "--json")
    assert (found["state"], found["engines"], found["client_file"]) == ("stopped", None, None)
    assert laptop.json("status", "--json", "power", status=1)["healthy"] is False
    laptop.refuse("sshmaster", "power", "true", status=2, says=["stopped", "clusterctl start power"])
    laptop.refuse("runplugin", "ipclusterrestart", "power", status=1, says=["clusterctl start power"])

    assert "power is up: 2 engines on 2 nodes" in laptop.run("start", "power").stdout
    assert json.loads(connection.read_text()) == before
    assert laptop.python(ASK) == "[0, 1] [1, 1]\n"
    assert laptop.run("sshnode", "power", "1", "cat", "kept").stdout == "kept\n"

    laptop.run("stop", "--yes", "power")
    with socket.socket() as squatter:
        # Connections to the controller that ended are remembered for a minute.
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", before["mux"]))
        squatter.listen()
        assert "power is up: 2 engines on 2 nodes" in laptop.run("start", "power").stdout
        after = json.loads(connection.read_text())
        assert before["mux"] not in {after[channel] for channel in SIX}
        assert laptop.python(ASK) == "[0, 1] [1, 1]\n"

    # The laptop's files are lost: what runs is known all the same, and can be ended.
    laptop.folder("power").rename(tmp_path / "lost")
    (found,) = laptop.json("list", "--json")
    assert (found["name"], found["state"]) == ("power", "running")
    ports, folders = laptop.listeners(), laptop.run_folders()
    assert len(ports) >= 20
    assert len(folders) == 2
    assert "power is gone (2 nodes)" in laptop.run("terminate", "--yes", "power").stdout
    laptop.assert_nothing_left(ports, folders)
    assert "nothing to end" in laptop.run("terminate", "--yes", "power").stdout
    assert laptop.json("list", "--json") == []
