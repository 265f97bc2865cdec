"""A cluster grows by what waits with a client, and shrinks again; who works on a node keeps it."""

from __future__ import annotations

import pytest

from ..support.laptop import read_acts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CONFIG = """
[cluster local]
PLUGINS = ipcluster
CLUSTER_SIZE = 1
SCALE_MAX = 2
SCALE_DOWN_AFTER = 2s

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""
NAME = "growing"


@pytest.fixture(scope="module")
def laptop(tmp_path_factory, laptop_class):
    laptop = laptop_class(tmp_path_factory.mktemp("growing") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    said = laptop.run("start", NAME).stdout
    assert f"It grows to 2 nodes by what waits while this runs: clusterctl watch {NAME}" in said
    yield laptop
    laptop.terminate_all()


def test_a_map_grows_the_cluster_and_what_is_idle_leaves_unless_somebody_works_there(laptop, poll):
    with laptop.console() as client, laptop.begin("watch", NAME, "--every", "1", "--json") as watch:
        client.run(
            "import time, clusterctl\n"
            f"client = clusterctl.connect({NAME!r})\n"
            "begun = client.pool().map_async(time.sleep, [0.5] * 60)"
        )
        assert read_acts(watch, "begun", "done") == [("grow", None, "begun"), ("grow", None, "done")]
        poll(lambda: client.value("len(client.ids)") == 2, "the new engine is there")
        with laptop.begin("sshnode", NAME, "node001", "sh -c 'touch here; while [ -e here ]; do sleep 0.2; done'"):
            here = laptop.home / "local" / NAME / "home" / "here"
            poll(here.exists, "somebody is logged in")
            assert client.value("len(begun.get())") == 60
            told = read_acts(watch, "told")
            assert told == [("shrink", "node001", "begun"), ("note", "node001", "told")], "he works there"
            here.unlink()
        assert read_acts(watch, "done")[-1] == ("shrink", "node001", "done")
        assert client.value("client.ids") == [0]
        assert client.value("client.map(abs, [-1, -2])") == [1, 2]
