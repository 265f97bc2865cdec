"""Engines of several containers: MPI between them, and large arrays where their homes are not shared."""

from __future__ import annotations

import json
import secrets

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
CLUSTER = f"waves{secrets.token_hex(3)}"
CONFIG = """
[global]
DEFAULT_TEMPLATE = docker

[cluster docker]
PROVIDER = docker
NODE_IMAGE_ID = {image}
CLUSTER_SIZE = 3
CLUSTER_USER = iptest
PLUGINS = mpi, ipcluster

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""
CONNECT = f"""
import json
import clusterctl
import numpy as np

client = clusterctl.connect({CLUSTER!r}, wait=3)
"""
MEGABYTES = 200


@pytest.fixture(scope="module")
def laptop(docker_image_with_lists, laptop_class, tmp_path_factory):
    """One with a cluster of three containers with an engine each, which have MPI."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(image=docker_image_with_lists))
    try:
        laptop.run("start", CLUSTER, timeout=600)
        yield laptop
    finally:
        laptop.run("terminate", "--yes", CLUSTER, status=None)


@pytest.fixture
def script(laptop, tmp_path):
    """Runs a script of the user's; returns what it printed last, as JSON."""
    return lambda text: json.loads(laptop.run_script(tmp_path, CONNECT + text)[-1])


def test_large_arrays_go_by_mpi_from_container_to_container_in_their_network_alone(script):
    said = script("""
def add(group):
    import os, psutil
    import numpy as np

    total = group.allreduce(np.full(500_000, group.rank + 1.0))
    ports = psutil.Process().net_connections()
    listening = sorted({one.laddr.ip for one in ports if one.status == psutil.CONN_LISTEN} - {"127.0.0.1"})
    return type(group).__name__, float(total[-1]), listening, group._wires.address

print(json.dumps(client.together(add)))
""")
    assert [(name, total) for name, total, _, _ in said] == [("MpiGroup", 6.0)] * 3
    assert len({address for _, _, _, address in said}) == 3
    assert all(listening == [address] for _, _, listening, address in said)


def test_mpiexec_starts_a_program_on_all_containers_by_the_file_of_hosts_which_is_kept(laptop):
    def on_master(command):
        return laptop.run("sshmaster", "-u", "iptest", CLUSTER, command, timeout=100).stdout.splitlines()

    program = "import socket; from mpi4py import MPI; print(MPI.COMM_WORLD.size, socket.gethostname())"
    command = f"mpiexec -f ~/.clusterctl/mpi/hosts -ppn 1 -n 3 python -c '{program}'"
    assert sorted(line.split() for line in on_master(command)) == [["3", "master"], ["3", "node001"], ["3", "node002"]]
    hosts = on_master("cat ~/.clusterctl/mpi/hosts")
    laptop.run("removenode", "--yes", "--alias", "node002", CLUSTER, timeout=200)
    left = on_master("cat ~/.clusterctl/mpi/hosts")
    assert set(left) < set(hosts)
    assert len(left) == 2
    laptop.run("addnode", CLUSTER, timeout=300)
    assert len(on_master("cat ~/.clusterctl/mpi/hosts")) == 3


def test_the_master_sends_two_copies_at_most_where_homes_are_not_shared(laptop, script):
    def sent():
        return int(laptop.run("sshmaster", CLUSTER, "cat /sys/class/net/eth0/statistics/tx_bytes").stdout)

    before = sent()
    said = script(f"""
def part(location):
    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith("clusterctl_chunks_"):
            module.OBJECTS.location = location
    return sum(name.startswith("clusterctl_chunks_") for name in sys.modules)

data = np.random.default_rng(0).random({MEGABYTES} * 125_000)
print(client.map(abs, range(30)))  # the engines have what runs maps there
assert all(client[:].apply_sync(part, "/tmp/clusterctl-objects"))  # a folder of each container's own


def add(number):
    import socket, time

    time.sleep(0.3)
    return socket.gethostname(), float(data.sum())

result = client.pool().map_async(add, range(30), chunksize=1)
values = result.get()
hosts, totals = ({{value[place] for value in values}} for place in (0, 1))
print(json.dumps([sorted(hosts), len(totals), result.report.bytes_stored]))
""")
    assert said[0] == ["master", "node001", "node002"]
    assert said[1] == 1
    assert said[2] < 1.01 * MEGABYTES * 1e6  # the laptop's one copy
    assert sent() - before < 2.1 * MEGABYTES * 1e6
