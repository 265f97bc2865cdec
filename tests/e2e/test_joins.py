"""Joins that go wrong: what has joined is usable, what is missing is named, and the next `start` completes it."""

from __future__ import annotations

import os
import signal

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CONFIG = """
[cluster gated]
PROVIDER = local
PLUGINS = gate, ipcluster

[plugin gate]
SETUP_CLASS = {folder}/gate.py:Gate
FOLDER = {folder}

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""

GATE = '''
"""A plugin that keeps a node waiting on that node, or fails, as files in a folder say."""
from pathlib import Path

from clusterctl.api import Cluster, Field, Node, Section, hookimpl


class Options(Section):
    folder: str = Field(description="where block-NODE and raise-NODE are, and at-NODE appears")


class Gate:
    def __init__(self, options: Options) -> None:
        self._folder = options.folder

    @staticmethod
    @hookimpl
    def clusterctl_settings() -> type[Section]:
        return Options

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        if Path(self._folder, f"raise-{node.alias}").exists():
            raise ValueError("the gate is broken")
        wait = f"cd {self._folder}; touch at-{node.alias}; while [ -e block-{node.alias} ]; do sleep 0.1; done"
        cluster.on(node).run(wait)
'''

ASK = """
import clusterctl
client = clusterctl.connect()
print(client.ids, client[:].apply_sync(lambda: 1))
client.close()
"""


class Gate:
    """What the plugin looks at."""

    def __init__(self, folder):
        self._folder = folder

    def block(self, alias):
        (self._folder / f"block-{alias}").touch()

    def breaks(self, alias):
        (self._folder / f"raise-{alias}").touch()

    def opens(self):
        for path in [*self._folder.glob("block-*"), *self._folder.glob("raise-*")]:
            path.unlink()

    def forgets(self):
        for path in self._folder.glob("at-*"):
            path.unlink()

    def has(self, alias):
        return (self._folder / f"at-{alias}").exists()


def gated(laptop, folder):
    """Give a laptop the plugin, and a template that has it."""
    (folder / "gate.py").write_text(GATE)
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(folder=folder))
    return Gate(folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, laptop_class):
    """A laptop, and the gate of its cluster of three."""
    laptop = laptop_class(tmp_path_factory.mktemp("gated") / "home")
    gate = gated(laptop, tmp_path_factory.mktemp("gate"))
    try:
        laptop.run("start", "-s", "3", "trio")
        yield laptop, gate
    finally:
        gate.opens()
        laptop.terminate_all()


def complete(laptop, gate):
    """The gate open and all nodes there: those that are ended have to join anew."""
    gate.opens()
    if engines(laptop) != {"master": 1, "node001": 1, "node002": 1}:
        laptop.run("start", "trio")
    gate.forgets()


@pytest.fixture
def trio(shared):
    """The same, complete."""
    complete(*shared)
    return shared


@pytest.fixture(scope="module")
def slow_start(shared):
    """A start of the same with a straggler: laptop, gate, process, and what the journal had before.

    It mostly waits, so tests that need another cluster run meanwhile.
    """
    laptop, gate = shared
    complete(laptop, gate)
    end_node(laptop, "node001")
    end_node(laptop, "node002")
    gate.block("node002")
    before = len(laptop.journal("trio"))
    with laptop.begin("start", "--min-size", "2", "--start-timeout", "20", "trio") as process:
        yield laptop, gate, process, before


def end_node(laptop, alias, name="trio"):
    """What a power failure does."""
    os.kill(laptop.running(name, alias)["pid"], signal.SIGKILL)


def engines(laptop):
    (found,) = laptop.json("list", "--json")
    return {node["alias"]: node["engines"] for node in found["nodes"]}


def end_of(process):
    """Exit status, and what was said, of a command in the background."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_a_node_killed_while_it_joins_is_named_and_the_next_start_brings_it_back(trio, poll):
    laptop, gate = trio
    end_node(laptop, "node001")
    gate.block("node001")
    with laptop.begin("start", "trio") as process:
        poll(lambda: gate.has("node001"), "node001 is at the gate", process=process)
        busy = f"another clusterctl is at work on trio (process {process.pid})"
        laptop.refuse("start", "trio", status=1, says=[busy])
        end_node(laptop, "node001")
        status, out, err = end_of(process)
    assert status == 1
    assert "node001: " in err
    assert "node002" not in err
    assert "trio is not complete (node001): 2 engines on 2 nodes" in out
    assert "clusterctl start trio" in out
    assert laptop.python(ASK) == "[0, 2] [1, 1]\n"
    assert "trio: partial, 3 nodes, 2 engines" in laptop.run("status", status=1).stdout

    gate.opens()
    assert "trio is up: 3 engines on 3 nodes" in laptop.run("start", "trio").stdout
    assert engines(laptop) == {"master": 1, "node001": 1, "node002": 1}


def test_a_plugin_that_raises_on_one_node_fails_that_node_alone(trio):
    laptop, gate = trio
    end_node(laptop, "node001")
    end_node(laptop, "node002")
    gate.breaks("node001")
    result = laptop.run("start", "trio", status=1)
    assert "plugin gate: ValueError: the gate is broken" in result.stderr
    assert "node001" in result.stderr
    assert "node002" not in result.stderr
    assert "trio is not complete (node001): 2 engines on 2 nodes" in result.stdout
    assert laptop.python(ASK) == "[0, 2] [1, 1]\n"


def test_a_start_that_was_killed_is_completed_by_the_next(trio, poll):
    laptop, gate = trio
    end_node(laptop, "node001")
    end_node(laptop, "node002")
    gate.block("node001")
    with laptop.begin("start", "trio") as process:
        poll(lambda: gate.has("node001"), "node001 is at the gate", process=process)
        process.kill()
    gate.opens()
    assert "trio is up: 3 engines on 3 nodes" in laptop.run("start", "trio").stdout
    assert laptop.python(ASK) == "[0, 1, 2] [1, 1, 1]\n"


def test_a_plugin_that_raises_on_the_master_fails_the_start_and_says_what_stays(trio):
    laptop, gate = trio
    end_node(laptop, "master")
    gate.breaks("master")
    says = ["the gate is broken", "`clusterctl start trio` goes on with them", "`terminate` ends them"]
    laptop.refuse("start", "trio", status=1, says=says)
    gate.opens()
    assert "trio is up: 3 engines on 3 nodes" in laptop.run("start", "trio").stdout
    assert laptop.python(ASK) == "[0, 1, 2] [1, 1, 1]\n"


@pytest.fixture
def ctrl_c():
    """Ctrl-C as on a terminal: a shell that runs us in the background would have it ignored, in children too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)


@pytest.mark.usefixtures("slow_start")
def test_ctrl_c_ends_what_a_new_start_made_and_says_so(new_laptop, tmp_path, poll, ctrl_c):
    laptop = new_laptop()
    gate = gated(laptop, tmp_path)
    gate.block("node001")
    with laptop.begin("start", "-s", "2", "dropped") as process:
        poll(lambda: gate.has("node001"), "node001 is at the gate", process=process)
        ports, folders = laptop.listeners(), laptop.run_folders()
        assert len(folders) == 2
        process.send_signal(ctrl_c)
        status, out, err = end_of(process)
    assert status == 130
    assert "Interrupted: ending what this start made of dropped" in out
    assert err.split() == ["interrupted"]
    laptop.assert_nothing_left(ports, folders)


@pytest.mark.usefixtures("slow_start")
def test_a_new_start_killed_as_it_asks_for_machines_is_completed_by_the_next(new_laptop, poll):
    laptop = new_laptop()
    with laptop.begin("start", "-s", "1", "cut") as process:
        poll(
            lambda: any(event["event"] == "create" for event in laptop.journal("cut")),
            "machines are asked for",
            process=process,
        )
        process.kill()
    assert "cut is up: " in laptop.run("start", "cut").stdout
    assert engines(laptop)["master"] >= 1


@pytest.mark.parametrize(("redirected", "status"), [(">/dev/full", 1), ("| true", 0), ("<&- >&- 2>&-", 0)])
def test_machines_come_and_go_though_nobody_can_be_told(new_laptop, redirected, status):
    laptop = new_laptop(runner=("sh", "-c", f'"$@" {redirected}', "sh"))
    laptop.home.mkdir()
    (laptop.home / "config").write_text("[cluster bare]\nPROVIDER = local\n")
    laptop.run("start", "-c", "bare", "-s", "1", "mute", status=status)
    ports, folders = laptop.listeners(), laptop.run_folders()
    assert len(folders) == 1
    laptop.run("terminate", "--yes", "mute", status=status)
    laptop.assert_nothing_left(ports, folders)


def test_a_straggler_delays_only_itself_and_is_named_at_the_deadline(slow_start):
    laptop, gate, process, before = slow_start
    status, out, err = end_of(process)
    # It was at the gate from first to last, so whoever has joined did not wait for it.
    since = laptop.journal("trio")[before:]
    assert {event["node"] for event in since if event["event"] == "joined"} == {"node001"}
    assert gate.has("node002")
    assert status == 0, err
    assert "node002 was still busy with plugin gate when the 20 s of START_TIMEOUT were over" in err
    assert "node001" not in err
    assert "2 engines on 2 nodes" in out
    assert engines(laptop) == {"master": 1, "node001": 1, "node002": 0}

    gate.opens()
    assert "trio is up: 3 engines on 3 nodes" in laptop.run("start", "trio").stdout
    assert laptop.python(ASK) == "[0, 1, 2] [1, 1, 1]\n"
