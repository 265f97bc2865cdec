"""Maps that outlive the Python that began them, the laptop's way to the cluster, and the process that runs them."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import textwrap
from collections import Counter

import pytest

from ..support.scripts import user_scripts

pytestmark = pytest.mark.e2e

WORK = """
    import clusterctl, sys, time

    def work(item):
        import time
        time.sleep({pause})
        print("item", item)
        with open({ran!r}, "a") as file:
            file.write(f"{{item}}\\n")
        return item * item
"""
ITEMS = 150


class Laptop:
    """Scripts of a user's, whose items write down that they ran."""

    def __init__(self, laptop, cluster, folder, begin_script):
        self._laptop, self._cluster, self._folder = laptop, cluster, folder
        self._begin_script = begin_script

    def begin(self, text, *, pause=0.02):
        head = textwrap.dedent(WORK).format(pause=pause, ran=str(self._folder / "ran"))
        return self._begin_script(head + textwrap.dedent(text), self._laptop.env)

    def run(self, text, **about):
        process = self.begin(text, **about)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        return said.splitlines()

    def ran(self):
        """How often each item ran."""
        try:
            return Counter(map(int, (self._folder / "ran").read_text().split()))
        except FileNotFoundError:
            return Counter()

    def folder_of(self, name):
        return self._laptop.node_folder(self._cluster.name, "master") / "state" / "ipython" / "maps" / name

    def runner_pid(self, name):
        return int((self.folder_of(name) / "lock").read_text())


@pytest.fixture
def user(laptop, cluster, tmp_path):
    with user_scripts(tmp_path) as begin_script:
        yield Laptop(laptop, cluster, tmp_path, begin_script)


def begins(name=None, count=ITEMS):
    named = f", name={name!r}" if name else ""
    return f"""
    client = clusterctl.connect("mycluster")
    begun = client.map(work, range({count}), detach=True{named})
    print(begun.id, flush=True)
    time.sleep(600)
    """


def fetches(name, count=ITEMS):
    return f"""
    found = clusterctl.results({name!r})
    print(found.get(100) == [item * item for item in range({count})], found.status().state)
    """


ONCE = Counter(range(ITEMS))


@pytest.mark.slow
def test_another_python_gets_the_results_when_the_first_was_killed(user, laptop, cluster):
    process = user.begin(begins())
    name = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    laptop.run("tunnel", "--close", cluster.name)
    assert user.run(fetches(name)) == ["True done"]
    assert user.ran() == ONCE
    said = user.run(f"print(clusterctl.results({name!r}).log())")
    assert any(line.startswith("[stdout:") and line.endswith("] item 149") for line in said)
    laptop.run("tunnel", cluster.name)


@pytest.mark.slow
@pytest.mark.seeds(1)
@pytest.mark.timeout(400)
def test_who_begins_a_map_is_killed_at_any_moment_and_nothing_runs_twice(user, sample):
    """While it connects, while it hands the map over, while it waits."""
    draw = random.Random(sample.seed)
    for moment in sample.of(range(10), 3):
        name, before = f"moment-{moment}", sum(user.ran().values())
        process = user.begin(begins(name))
        try:
            process.wait(draw.uniform(0.3, 3.0) if moment < 5 else draw.uniform(1.0, 6.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert user.run(f"""
            client = clusterctl.connect("mycluster")
            print(client.map(work, range({ITEMS}), name={name!r}) == [item * item for item in range({ITEMS})])
            client.close()
        """) == ["True"]
        assert sum(user.ran().values()) == before + ITEMS, moment
        assert len({*user.ran().values()}) == 1, moment


@pytest.mark.slow
def test_its_own_process_is_killed_and_what_was_written_is_not_done_again(user, poll):
    name = user.run(begins("killed").replace("time.sleep(600)", "client.close()"), pause=0.1)[0]
    poll(lambda: len(user.ran()) > 30, "some items are done")
    kept = (user.folder_of(name) / "results").stat().st_size
    os.kill(user.runner_pid(name), signal.SIGKILL)
    done = int(user.run("print(len(clusterctl.results('killed').partial()))")[0])
    assert user.run(fetches(name)) == ["True done"]
    assert kept
    ran = user.ran()
    assert {*ran} == {*range(ITEMS)}
    assert sum(ran.values()) - ITEMS <= ITEMS - done
    assert sum(count > 1 for count in ran.values()) < ITEMS / 2  # those that were under way


@pytest.mark.slow
def test_the_controller_is_killed_under_it(user, laptop, cluster, poll):
    name = user.run(begins("controller").replace("time.sleep(600)", "client.close()"), pause=0.1)[0]
    poll(lambda: len(user.ran()) > 20, "some items are done")
    state = laptop.node_folder(cluster.name, "master") / "state"
    parts = state / "ipython" / "profile_cluster" / "pid" / "parts.json"
    os.kill(json.loads(parts.read_text())["parts"]["hub"], signal.SIGKILL)
    assert user.run(fetches(name)) == ["True done"]
    assert user.ran() == ONCE


@pytest.mark.slow
def test_it_is_cancelled_by_its_name_and_goes_on_by_it(user, poll, client):
    name = user.run(begins("paused", 40).replace("time.sleep(600)", "client.close()"), pause=2)[0]
    poll(lambda: len(user.ran()) >= 3, "some items are done")
    said = user.run("""
        found = clusterctl.results("paused")
        found.cancel()
        print(found.status().state, len(found.partial()))
    """)
    state, done = said[0].split()
    assert state == "cancelled"
    assert client.value("client[:].apply_async(int, '7').get(timeout=10)") == [7] * 6
    ran = user.ran()
    resumed = user.run(
        """
        client = clusterctl.connect("mycluster")
        print(sum(client.map(work, range(40), name="paused")), clusterctl.results("paused").status().state)
        client.close()
        """,
        pause=0,
    )
    assert resumed == [f"{sum(item * item for item in range(40))} done"]
    assert sum(user.ran().values()) - sum(ran.values()) <= 40 - int(done)
    assert user.run(f"clusterctl.results({name!r}).forget()") == []
    assert not user.folder_of(name).exists()


@pytest.mark.slow
def test_on_the_master_it_is_the_same(user, laptop, cluster):
    python = laptop.node_folder(cluster.name, "master") / "env" / "bin" / "python"
    code = (
        "import clusterctl; c = clusterctl.connect(); begun = c.map(abs, [-1, -2], detach=True);"
        "print(c.results(begun.id).get(60), clusterctl.results(begun.id).status().state); c.close()"
    )
    assert laptop.run("sshmaster", cluster.name, shlex.join([str(python), "-c", code])).stdout == "[1, 2] done\n"
