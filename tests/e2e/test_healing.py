"""What is dead or deaf on a node comes back without the laptop, and says so; nobody calls well what does not answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress

import psutil
import pytest

from ..support.deafness import hold

pytestmark = pytest.mark.e2e
SILENT = 5
"""The engine that is frozen while some of the tests run."""


@pytest.fixture(scope="module")
def parts(laptop, cluster):
    """The pids of the controller's processes, by the names of its parts."""
    state = laptop.node_folder(cluster.name, "master") / "state"
    file = state / "ipython" / "profile_cluster" / "pid" / "parts.json"
    return lambda: json.loads(file.read_text())["parts"]


@pytest.fixture(scope="module")
def tries(client):
    """The pids that all engines but the silent one answer with, through the task scheduler and all others; or None."""
    client.run(
        "def tries(ids):\n"
        "    try:\n"
        "        found = client[ids].apply_async(os.getpid).get(timeout=2)\n"
        "        client.load_balanced_view(targets=ids).apply_async(os.getpid).get(timeout=2)\n"
        "        client.broadcast_view(targets=ids).apply_async(os.getpid).get(timeout=2)\n"
        "        return found\n"
        "    except Exception:\n"
        "        return None"
    )
    return lambda: client.value(f"tries({[number for number in range(6) if number != SILENT]})")


@pytest.fixture(scope="module")
def silent(cluster, client):
    """An engine that is frozen until the last test: the controller gives it up after 20 s."""
    pid = client.value("pids()")[str(SILENT)]
    os.kill(pid, signal.SIGSTOP)
    yield pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def rows(laptop, cluster):
    """What `status` says of each service on the master."""

    def rows():
        found = laptop.json("status", cluster.name, "--json", status=None)
        return {row["item"]: row["value"] for row in found["rows"] if row["node"] == "master"}

    return rows


@pytest.fixture(scope="module")
def pid_of(laptop, cluster, poll):
    """The pid of a node's process with this word in its command line, another one than before."""

    def pid_of(node, word, before=0):
        place = str(laptop.node_folder(cluster.name, node))

        def find():
            lines = {}
            for process in laptop.processes():
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    lines[process.pid] = " ".join(process.cmdline())
            found = [pid for pid, line in lines.items() if place in line and word in line and pid != before]
            return found[0] if len(found) == 1 else None

        return poll(find, f"{word} runs on {node}")

    return pid_of


@pytest.mark.parametrize(
    "part",
    [
        "task scheduler",
        *(
            pytest.param(part, marks=pytest.mark.slow)
            for part in ("direct scheduler", "broadcast scheduler 1", "heart monitor", "hub")
        ),
    ],
)
def test_a_part_of_the_controller_that_is_killed_is_back_with_all_others_and_engines_live(parts, tries, poll, part):
    before, engines = parts(), poll(tries, "engines answer")
    os.kill(before[part], signal.SIGKILL)
    poll(lambda: not set(before.values()) & set(parts().values()), "all parts are new ones")
    assert poll(tries, "engines answer again") == engines
    assert not [pid for pid in before.values() if psutil.pid_exists(pid)]


@pytest.mark.slow
def test_a_call_of_a_connected_client_ends_when_its_answer_is_lost(laptop, parts, poll, tries):
    with laptop.console() as console:
        console.run(
            "import clusterctl, time\n"
            "client = clusterctl.connect()\n"
            "def is_connected(view):\n"
            "    try:\n"
            "        return view.apply_async(time.time).get(timeout=2) is not None\n"
            "    except Exception:\n"
            "        return False"
        )
        for view in ("client[0]", "client.load_balanced_view(targets=[1])", "client.broadcast_view(targets=[2])"):
            poll(lambda view=view: console.value(f"is_connected({view})"), "this client is connected again")
            console.run(f"pending = {view}.apply_async(time.sleep, 6)")  # longer than the way to the kill
            os.kill(parts()["task scheduler"], signal.SIGKILL)
            assert "ConnectionLostError" in console.value("str(pending.exception(timeout=60))")
            poll(tries, "engines answer again")


@pytest.mark.slow
def test_a_call_that_a_scheduler_drops_ends_and_one_that_takes_long_goes_on(laptop, cluster):
    """A scheduler that has just started drops what is for an engine that it does not know yet, as it drops this."""
    with laptop.console() as console:
        console.run(
            "import clusterctl, time\n"
            "client = clusterctl.connect()\n"
            "send, known = client.session.send, client._engines[0].encode()\n"
            "def drop(stream, message, ident=None, **about):\n"
            "    if message['header']['msg_type'] == 'apply_request':\n"
            "        ident = b'nobody' if ident == known else ident\n"
            "        targets = message['metadata'].get('targets')\n"
            "        if targets:\n"
            "            message['metadata']['targets'] = [('nobody', 0), *targets[1:]]\n"
            "    return send(stream, message, ident=ident, **about)\n"
            "client.session.send = drop\n"
            "whole = client.broadcast_view(is_coalescing=True)\n"
            "calls = [v.apply_async(time.time) for v in (client[0], client.broadcast_view(), whole)]\n"
            "long = client[1].apply_async(time.sleep, 15)"
        )
        for number in range(3):
            assert "ConnectionLostError" in console.value(f"str(calls[{number}].exception(timeout=60))")
        assert console.value("long.get(timeout=60)") is None
        assert console.value("client[1:].apply_sync(abs, -1)") == [1] * 5


@pytest.mark.slow
@pytest.mark.usefixtures("silent")
def test_a_part_that_is_stopped_goes_on_and_nothing_starts_anew(parts, tries, poll):
    before, engines = parts(), poll(tries, "engines answer")
    os.kill(before["task scheduler"], signal.SIGSTOP)
    assert poll(tries, "engines answer again") == engines
    assert parts() == before


@pytest.mark.slow
def test_a_notebook_that_is_stopped_goes_on(pid_of, poll):
    pid = pid_of("master", "jupyterlab")
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: psutil.Process(pid).status() != psutil.STATUS_STOPPED, "the notebook goes on")


@pytest.mark.slow
def test_an_ssh_server_that_is_stopped_goes_on(laptop, cluster, poll):
    pid = laptop.running(cluster.name, "node001")["pid"]
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: psutil.Process(pid).status() != psutil.STATUS_STOPPED, "it goes on")
    assert laptop.run("exec", "-n", "node001", cluster.name, "true").returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="ptrace: only root may hold another process")
def test_an_ssh_server_that_is_deaf_is_followed_by_another_one_and_nothing_else_ends(laptop, cluster, poll, tries):
    engines = poll(tries, "engines answer")
    before = laptop.running(cluster.name, "node001")
    holder = hold(before["pid"])
    try:
        said = laptop.run("exec", "-n", "node001", cluster.name, "true", status=None)
        assert said.returncode == 0 or "node001 does not answer" in said.stderr
        after = poll(
            lambda: laptop.running(cluster.name, "node001")["pid"] != before["pid"], "another one", deadline_s=90
        )
        assert after
        poll(lambda: holder.poll() is not None, "the deaf one has ended")
    finally:
        holder.kill()
        holder.communicate()
    assert laptop.run("exec", "-n", "node001", cluster.name, "true").returncode == 0
    assert tries() == engines
    assert laptop.running(cluster.name, "node001")["guardian"] == before["guardian"]


@pytest.mark.slow
def test_the_watch_and_supervisord_look_after_each_other(pid_of, poll, rows, tries):
    for node, word in (("master", "services/watch.py"), ("node001", "supervisor.supervisord")):
        pid = pid_of(node, word)
        os.kill(pid, signal.SIGKILL)
        pid_of(node, word, before=pid)
    poll(tries, "new engines answer under the ids of the old ones")
    assert rows()["controller"] == "answers"


@pytest.mark.slow
def test_an_engine_that_was_frozen_until_it_was_given_up_is_the_same_afterwards(client, silent, poll):
    poll(lambda: SILENT not in client.value("client.ids"), "it is given up")
    os.kill(silent, signal.SIGCONT)
    poll(lambda: SILENT in client.value("client.ids"), "it is listed again")
    assert client.value(f"client[{SILENT}].apply_sync(os.getpid)") == silent


@pytest.mark.slow
def test_tasks_are_shared_out_when_an_engine_is_back_before_its_own_were_given_up(client, poll):
    shared = "client.load_balanced_view(targets=client.ids).apply_async(os.getpid).get(timeout=20)"
    pid = client.value("pids()")[str(SILENT)]
    os.kill(pid, signal.SIGSTOP)
    try:
        client.run(f"own = client.load_balanced_view(targets=[{SILENT}]).apply_async(os.getpid)")
        poll(lambda: SILENT not in client.value("client.ids"), "it is given up", deadline_s=60)
    finally:
        os.kill(pid, signal.SIGCONT)
    poll(lambda: SILENT in client.value("client.ids"), "it is listed again")
    assert client.value("own.get(timeout=30)") == pid
    given_up = time.monotonic() + 7  # ipyparallel gives tasks up after 5 s
    while time.monotonic() < given_up:
        assert client.value(shared)


@pytest.mark.slow
def test_a_listener_on_a_stopped_notebooks_port_gets_neither_visit_nor_token(laptop, cluster):
    before = laptop.run("notebook", cluster.name).stdout.strip()
    laptop.run("stop", "--yes", cluster.name)
    port = int(before.split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        laptop.run("start", cluster.name)
        after = laptop.run("notebook", cluster.name).stdout.strip()
    assert f":{port}/" not in after
    assert after.rpartition("=")[2] != before.rpartition("=")[2]
