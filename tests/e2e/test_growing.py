"""A cluster grows by what waits with a client, and shrinks again; who works on a node keeps it."""

from __future__ import annotations

import pytest

from ..support.laptop import read_acts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CONFIG = """
[cluster local]
PLUGINS = ipcluster, readers
CLUSTER_SIZE = 1
SCALE_MIN = 0
SCALE_MAX = 2
SCALE_DOWN_AFTER = 2s

[plugin ipcluster]
MASTER_ENGINES = 0
ENGINES_PER_NODE = 1

[plugin readers]
SETUP_CLASS = {folder}/readers.py:Readers
"""
PLUGIN = """
from pathlib import Path

from clusterctl.api import Busy, Plugin, hookimpl


class Readers(Plugin):
    @hookimpl
    def clusterctl_busy(self, cluster):
        return [Busy("readers", Path(__file__).with_name("busy.py"), {"file": cluster.master.layout.home / "readers"})]
"""
BUSY = """
from pathlib import Path


def main(values):
    return lambda: {"node001": "2 readers"} if Path(values["file"]).exists() else {}
"""
NAME = "growing"


@pytest.fixture(scope="module")
def laptop(tmp_path_factory, laptop_class):
    folder = tmp_path_factory.mktemp("growing")
    laptop = laptop_class(folder / "home")
    laptop.home.mkdir()
    (folder / "readers.py").write_text(PLUGIN)
    (folder / "busy.py").write_text(BUSY)
    (laptop.home / "config").write_text(CONFIG.replace("{folder}", str(folder)))
    said = laptop.run("start", NAME).stdout
    assert f"It grows to 2 nodes by what waits while this runs: clusterctl watch {NAME}" in said
    yield laptop
    laptop.terminate_all()


def test_a_map_brings_the_first_engine_and_what_is_idle_leaves_unless_somebody_works_there(laptop, poll):
    with laptop.console() as client, laptop.begin("watch", NAME, "--every", "1", "--json") as watch:
        client.run(
            "import time, clusterctl\n"
            f"client = clusterctl.connect({NAME!r})\n"
            "begun = client.pool().map_async(time.sleep, [0.5] * 30)"
        )
        assert read_acts(watch, "begun", "done") == [("grow", None, "begun"), ("grow", None, "done")]
        poll(lambda: client.value("len(client.ids)") == 1, "the new engine is there")
        home = laptop.home / "local" / NAME / "home"
        (home / "readers").touch()
        with laptop.begin("sshnode", NAME, "node001", "sh -c 'touch here; while [ -e here ]; do sleep 0.2; done'"):
            poll((home / "here").exists, "somebody is logged in")
            assert client.value("len(begun.get())") == 30
            told = read_acts(watch, "told")
            assert told == [("shrink", "node001", "begun"), ("note", "node001", "told")], "he works there"
            (home / "here").unlink()
        assert [act for act, _, _ in read_acts(watch, "told")] == ["shrink", "note"], "a plugin has work there"
        (home / "readers").unlink()
        assert read_acts(watch, "done")[-1] == ("shrink", "node001", "done")
        assert client.value("client.ids") == []
