"""Dask on hosts with systemd, through the tunnel; and nothing of it is left on a host that is given back."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.request import urlopen

import pytest

from ..support.hosts import USER, started

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not find_spec("distributed"), reason="dask: not installed here"),
]
OPTIONS = """
SHARED_HOME = yes
PLUGINS = dask, ipcluster

[plugin dask]
WORKERS_PER_NODE = 1
WORKER_TIMEOUT = 240

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""


@pytest.fixture(scope="module")
def story(systemd_hosts, laptop_class, tmp_path_factory):
    """The cluster on two hosts."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(systemd_hosts, laptop, range(2), options=OPTIONS) as made:
        yield made


def test_workers_of_systemd_are_used_through_the_tunnel_and_leave_with_their_data_moved(story, tmp_path):
    assert "2 Dask workers on 2 nodes" in story.started
    (cluster,) = story.laptop.json("list", "--json", "lab")
    (url,) = [one["url"] for one in cluster["connections"] if one["name"] == "dask-dashboard"]
    with urlopen(url, timeout=60) as page:
        assert page.status == 200
    assert story.hosts.on(1, "systemctl is-enabled clusterctl-dask-worker@0.service") == "enabled"
    assert story.hosts.on(1, "stat -c '%U %a' /var/lib/clusterctl/dask/connection.json") == f"{USER} 600"
    assert story.laptop.run_script(
        tmp_path,
        """
        import subprocess, sys
        import clusterctl

        dask = clusterctl.connect().dask()
        addresses = {worker["name"]: address for address, worker in dask.scheduler_info()["workers"].items()}
        kept = dask.scatter([b"x" * 1_000_000] * 3, workers=[addresses["node001-0"]], hash=False)
        leave = ["removenode", "--yes", "--alias", "node001", "lab"]
        subprocess.run([sys.executable, "-m", "clusterctl.cli.main", *leave], check=True, capture_output=True)
        print(sum(map(len, dask.gather(kept))), len(dask.scheduler_info()["workers"]))
        """,
    ) == ["3000000 1"]
    assert story.hosts.on(1, "ls /var/lib/clusterctl/dask 2>/dev/null; pgrep -f '[d]ask/workers.py'; true") == ""
