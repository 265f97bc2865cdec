"""MPI between the engines of a real cluster, members that are lost, and programs that mpiexec starts."""

from __future__ import annotations

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
CONFIG = """
[global]
DEFAULT_TEMPLATE = mpi

[cluster mpi]
CLUSTER_SIZE = 2
PLUGINS = mpi, ipcluster

[plugin ipcluster]
ENGINES_PER_NODE = 2
"""
BEGIN = """
    import os, signal
    import clusterctl
    import numpy as np
    from clusterctl.compute.together.meeting import MemberLostError

    client = clusterctl.connect(wait=4)

    def add(group):
        import numpy as np

        assert type(group).__name__ == "MpiGroup"
        total = group.allreduce(np.full(100_000, group.rank + 1.0))
        sent = group.broadcast(np.arange(100_000) if group.rank == 3 else None, root=3)
        return float(total[7]), int(sent[-1]), group.comm.allreduce(1)
"""


@pytest.fixture(scope="module")
def laptop(tmp_path_factory, laptop_class):
    """One with a cluster of two nodes with two engines each, which have MPI."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    laptop.run("start", "waves", timeout=200)
    yield laptop
    laptop.terminate_all()


@pytest.fixture(scope="module")
def script(laptop, tmp_path_factory):
    """Runs a script of the user's; returns the lines that it printed."""
    return lambda text: laptop.run_script(tmp_path_factory.mktemp("script"), text)


def test_large_arrays_go_by_mpi_also_after_a_member_was_killed_in_the_middle(script):
    said = script(f"""{BEGIN}
    def lose(group):
        import numpy as np

        group.allreduce(np.ones(100_000))
        if group.rank == 2:
            group._wait = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(100):
            group.allreduce(np.ones(100_000))

    print(client.together(add) == [(10.0, 99_999, 4)] * 4)
    try:
        client.together(lose)
    except MemberLostError as error:
        print("lost", error.rank in (2, 3))  # MPICH itself may abort the other engine of that node
    client.wait_for_engines(4, timeout=60)
    print(client.together(add) == [(10.0, 99_999, 4)] * 4)
    client.close()
    """)
    assert said == ["True", "lost True", "True"]


def test_mpi_listens_in_the_clusters_network_alone(script):
    said = script(f"""{BEGIN}
    def tell(group):
        group.comm
        return os.getpid()

    print(*client.together(tell))
    client.close()
    """)
    for pid in map(int, said[-1].split()):
        listening = [one.laddr.ip for one in psutil.Process(pid).net_connections() if one.status == psutil.CONN_LISTEN]
        assert listening
        assert all(address.startswith("127.") for address in listening), listening


def test_mpiexec_starts_a_program_on_the_hosts_of_the_file_from_a_job(laptop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what goes along with a job
    program = "from mpi4py import MPI; print(f'sum {MPI.COMM_WORLD.allreduce(1)};', end='')"
    command = f'mpiexec -f ~/.clusterctl/mpi/hosts -n 3 python -c "{program}"'
    done = laptop.run("run", "--", "sh", "-c", command, timeout=100)
    assert done.stdout.count("sum 3;") == 3
