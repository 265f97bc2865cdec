"""`clusterctl start -s 3 mycluster`, as the README has it, and what it promises at its end."""

from __future__ import annotations

import json
import stat
from importlib.metadata import version

import pytest

pytestmark = pytest.mark.e2e

PROVE = """
from collections import Counter
import os
assert client.ids == [0, 1, 2, 3, 4, 5], client.ids
assert client[:].apply_sync(lambda x: x * 2, 21) == [42] * 6
assert Counter(client[:].apply_sync(lambda: __import__("os").environ["CLUSTERCTL_NODE"])) == {
    "master": 2, "node001": 2, "node002": 2}
client.close()
print("proved")
"""


def test_the_lines_that_start_prints_work_when_pasted_in_a_plain_python(laptop, cluster):
    lines = [line for line in cluster.output.splitlines() if line.startswith(("from ipyparallel", "client = "))]
    assert len(lines) == 2
    assert laptop.python("\n".join(lines) + PROVE, anew=True) == "proved\n"


def test_connect_by_name_and_without_one_returns_a_connected_client(laptop, cluster):
    connect = "import clusterctl\nclient = clusterctl.connect(%s)" + PROVE
    assert laptop.python(connect % repr(cluster.name) + connect % "", anew=True) == "proved\nproved\n"


def test_start_says_how_many_engines_and_needs_no_config_file(laptop, cluster):
    assert not (laptop.home / "config").exists()
    assert "mycluster is up: 6 engines on 3 nodes for " in cluster.output
    assert "\x1b" not in cluster.output
    assert all(line.startswith(">>> ") for line in cluster.output.splitlines() if "nodes to join" in line)


def test_list_json_has_the_promised_keys(laptop, cluster):
    (found,) = laptop.json("list", "--json")
    assert list(found) == [
        "name",
        "provider",
        "state",
        "master",
        "engines",
        "client_file",
        "notebook_url",
        "region",
        "created",
        "ends_at",
        "cost",
        "ends",
        "maps",
        "kept",
        "nodes",
        "troubles",
        "connections",
    ]
    assert (found["region"], found["ends_at"], found["ends"], found["troubles"]) == (None, None, None, [])
    assert found["maps"] == {"clients": 0, "left": 0, "items_per_s": 0}
    assert found["cost"] is None  # nobody asks money for them
    assert (found["name"], found["provider"], found["state"], found["engines"]) == ("mycluster", "local", "running", 6)
    assert found["client_file"] == str(laptop.folder(cluster.name) / "client.json")
    assert found["notebook_url"].startswith("http://127.0.0.1:")
    assert [one["name"] for one in found["connections"]] == ["client", "notebook"]
    assert [node["alias"] for node in found["nodes"]] == ["master", "node001", "node002"]
    for node in found["nodes"]:
        assert list(node) == ["alias", "state", "address", "type", "market", "zone", "launched", "engines"]
        assert (node["state"], node["engines"]) == ("running", 2)
    assert found["master"] == found["nodes"][0]["address"]


def test_each_nodes_engines_have_the_ids_in_the_order_of_the_nodes(client):
    names = client.value("client[:].apply_sync(lambda: __import__('os').environ['CLUSTERCTL_NODE'])")
    assert names == ["master", "master", "node001", "node001", "node002", "node002"]


def test_all_nodes_have_the_same_packages_and_the_laptops_ipyparallel(client):
    client.run(
        "def packages():\n"
        "    from importlib.metadata import distributions\n"
        "    return sorted((d.name, d.version) for d in distributions())"
    )
    lists = client.value("client[:].apply_sync(packages)")
    assert len(lists) == 6
    assert all(found == lists[0] for found in lists)
    assert ["ipyparallel", version("ipyparallel")] in lists[0]


def test_each_node_runs_its_own_environment(laptop, client):
    places = set(client.value("client[:].apply_sync(lambda: __import__('sys').prefix)"))
    assert len(places) == 3
    assert all(place.startswith(str(laptop.home)) for place in places)


def test_the_files_with_secrets_are_their_owners_alone(laptop, cluster):
    folder = laptop.folder(cluster.name)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("client.json", "engine.json", "connections.json", "id_ed25519", "journal.jsonl"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    nodes = laptop.home / "local" / cluster.name
    keys = [*nodes.glob("*/host_key"), *nodes.glob("*/state/ipython/profile_cluster/security/*")]
    assert {"host_key", "ipcontroller-curve.json", "notebook.json"} <= {key.name for key in keys}
    for key in keys:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key


def test_no_secret_is_in_any_command_line_log_or_journal(laptop, cluster):
    folder, master = laptop.folder(cluster.name), laptop.node_folder(cluster.name, "master")
    security = master / "state" / "ipython" / "profile_cluster" / "security"
    curve = json.loads((security / "ipcontroller-curve.json").read_text())
    private_keys = [folder / "id_ed25519", *(laptop.home / "local").glob("*/*/host_key")]
    secrets = {
        "curve secret key": curve["secret"],
        "curve server key": curve["public"],
        "notebook token": json.loads((security / "notebook.json").read_text())["token"],
        **{str(path): path.read_text().splitlines()[2] for path in private_keys},
    }
    assert all(len(secret) >= 20 for secret in secrets.values()), secrets
    assert len(secrets) == 7
    places = {f"process: {line}": line for line in cluster.command_lines}
    assert any("ipcontroller.py" in line for line in places)
    files = [folder / "journal.jsonl", folder / "timings.json", *(folder / "logs").iterdir()]
    files += (laptop.home / "local").glob("*/*/logs/*")
    assert {"controller-0.log", "notebook-0.log", "engine-0.log", "master.log"} <= {path.name for path in files}
    places |= {str(path): path.read_text(errors="replace") for path in files}
    leaks = [(what, place) for place, text in places.items() for what, secret in secrets.items() if secret in text]
    assert leaks == []


def test_a_join_costs_at_most_eight_remote_commands_a_node(cluster):
    assert set(cluster.timings["commands"]) == {"master", "node001", "node002"}
    assert max(cluster.timings["commands"].values()) <= 8
    acts = {(step["node"], step["plugin"]) for step in cluster.timings["steps"]}
    wanted = {(node, act) for node in cluster.timings["commands"] for act in ("ssh", "packages", "ipcluster")}
    assert wanted <= acts


def test_start_on_a_running_cluster_says_so_and_changes_nothing(laptop, cluster, client, engine_pids):
    before = {process.pid for process in laptop.processes()}, engine_pids()
    connection = (laptop.folder(cluster.name) / "client.json").read_text()
    result = laptop.run("start", cluster.name)
    assert "mycluster was already running: 6 engines on 3 nodes" in result.stdout
    assert ({process.pid for process in laptop.processes()}, engine_pids()) == before
    assert (laptop.folder(cluster.name) / "client.json").read_text() == connection


def test_start_with_another_size_on_a_running_cluster_names_addnode(laptop, cluster):
    laptop.refuse("start", "-s", "5", cluster.name, status=2, says=["has 3 nodes", "resize -s 5 mycluster"])
    laptop.refuse("start", "-s", "2", cluster.name, status=2, says=["resize -s 2 mycluster"])
