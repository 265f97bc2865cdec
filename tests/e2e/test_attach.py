"""Another laptop: a cluster whose files are lost is taken over, goes on with the same engines, and ends whole."""

from __future__ import annotations

import json
import shutil

import pytest

from clusterctl.journal.ids import fingerprint
from clusterctl.remote.host_key import fetch_host_key
from clusterctl.testing import fake_node

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def engines(laptop, aliases):
    """The engines' processes of these nodes, by alias."""
    return {alias: sorted(process.pid for process in laptop.find(alias, "ipengine")) for alias in aliases}


def test_with_the_folder_deleted_the_same_engines_go_on_and_terminate_leaves_nothing(new_laptop, tmp_path):
    laptop = new_laptop()
    laptop.run("start", "-s", "2", "lab")
    laptop.run("addnode", "lab")
    laptop.run("removenode", "--yes", "lab", "-a", "node001")  # ids of engines have a gap now
    laptop.run("addnode", "-a", "late", "lab")
    aliases = ["master", "node002", "late"]
    before, ids = engines(laptop, aliases), engine_ids(laptop)
    record = laptop.home / "local" / "lab" / "master" / "state" / "cluster.json"
    assert record.stat().st_mode & 0o777 == 0o600
    known = json.loads(record.read_text())["id"]
    shutil.rmtree(laptop.folder("lab"))

    said = laptop.run("attach", "lab")
    assert "lab is up" in said.stdout
    assert engines(laptop, aliases) == before
    assert engine_ids(laptop) == ids
    assert laptop.json("status", "--json", "lab")["healthy"]
    assert (laptop.folder("lab") / "id").read_text().strip() == known
    again = laptop.run("start", "lab")
    assert "already running" in again.stdout + again.stderr
    laptop.refuse("attach", "lab", status=2, says=["this computer's already"])

    key = tmp_path / "id_ed25519.pub"
    key.write_text((laptop.folder("lab") / "id_ed25519.pub").read_text())
    record = json.loads((laptop.node_folder("lab", "master") / "node.json").read_text())
    shown = fetch_host_key(fake_node(address=record["address"], port=record["port"]))
    assert shown.split() == record["host_key"].split()[:2]
    shared = laptop.json("share", "--json", "lab", str(key))
    assert shared["host_fingerprint"] == fingerprint(shown)
    assert (shared["id"], sorted(shared["nodes"])) == (known, sorted(aliases))
    laptop.run("addnode", "lab")
    admitted = (laptop.node_folder("lab", "node001") / "authorized_keys").read_text()
    assert admitted.split()[:2] == key.read_text().split()[:2]


def engine_ids(laptop):
    code = "import clusterctl; print(sorted(clusterctl.connect('lab').ids))"
    return json.loads(laptop.python(code))
