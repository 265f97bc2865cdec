"""What dies comes back, and who is connected goes on working; members come and go."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture
def controller(laptop, cluster, poll):
    """The controller's process, of which its other eight are children."""

    def find():
        found = laptop.find("master", "ipcontroller.py")
        pids = {process.pid for process in found}
        try:
            parents = [process for process in found if process.ppid() not in pids]
        except psutil.NoSuchProcess:
            return None
        return parents[0] if len(parents) == 1 else None

    return lambda: poll(find, "one controller runs")


@pytest.fixture
def answers(client):
    """The pid that an engine answers with now; None while it does not."""
    client.run(
        "def answer(number):\n"
        "    try:\n"
        "        return client[number].apply_async(os.getpid).get(timeout=2)\n"
        "    except Exception:\n"
        "        return None"
    )
    return lambda number: client.value(f"answer({number})")


def test_ipclusterrestart_without_a_name_renews_every_engine_and_nothing_else(
    laptop, cluster, controller, client, engine_pids
):
    before, its_pid = engine_pids(), controller().pid
    result = laptop.run("runplugin", "ipclusterrestart")
    assert ">>> Restarting 6 engines on 3 nodes\n" in result.stdout
    after = engine_pids()
    assert list(after) == list(before) == [0, 1, 2, 3, 4, 5]
    assert not set(after.values()) & set(before.values())
    assert controller().pid == its_pid


def test_a_killed_engine_comes_back_by_itself_with_the_same_id(engine_pids, answers, poll):
    before = engine_pids()
    os.kill(before[3], signal.SIGKILL)
    new = poll(lambda: (pid := answers(3)) != before[3] and pid, "engine 3 answers again")
    assert engine_pids() == {**before, 3: new}


def test_work_on_an_engine_can_be_interrupted(client, engine_pids, poll, tmp_path):
    before = engine_pids()
    client.run(
        "def work(begun):\n"
        "    import pathlib, time\n"
        "    pathlib.Path(begun).touch()\n"
        "    time.sleep(600)\n"
        f"pending = client[3].apply_async(work, {str(tmp_path / 'begun')!r})"
    )
    poll((tmp_path / "begun").exists, "the work has begun")
    client.run("client.send_signal(signal.SIGINT, targets=3, block=True)")
    assert client.value("pending.exception(timeout=60).ename") == "KeyboardInterrupt"
    assert engine_pids() == before


def test_a_killed_controller_comes_back_and_live_clients_and_engines_with_it(
    laptop, cluster, controller, engine_pids, answers, poll, kill_group
):
    before, killed = engine_pids(), controller()
    connection = (laptop.folder(cluster.name) / "client.json").read_text()
    kill_group(killed)
    poll(lambda: all(answers(number) == pid for number, pid in before.items()), "all engines answer the live client")
    assert controller().pid != killed.pid
    assert (laptop.folder(cluster.name) / "client.json").read_text() == connection
    poll(lambda: laptop.json("list", "--json")[0]["engines"] == 6, "the controller counts six engines")
    assert engine_pids() == before


def test_a_node_joins_and_leaves_and_the_others_keep_their_engines(laptop, cluster, client, engine_pids):
    before = engine_pids()
    assert "node003 joined mycluster: 8 engines on 4 nodes" in laptop.run("addnode", cluster.name).stdout
    with_it = engine_pids()
    assert list(with_it) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert {number: with_it[number] for number in before} == before
    names = client.value("client[6:8].apply_sync(lambda: __import__('os').environ['CLUSTERCTL_NODE'])")
    assert names == ["node003", "node003"]
    assert "node003 left mycluster" in laptop.run("removenode", "--yes", cluster.name).stdout
    assert engine_pids() == before
    (found,) = laptop.json("list", "--json")
    assert (found["engines"], [node["alias"] for node in found["nodes"]]) == (6, ["master", "node001", "node002"])
    assert not laptop.find("node003")
    assert not laptop.node_folder(cluster.name, "node003").exists()


def test_removenode_never_takes_the_master(laptop, cluster):
    laptop.refuse("removenode", "--yes", cluster.name, "-a", "master", status=2, says=["terminate mycluster"])
