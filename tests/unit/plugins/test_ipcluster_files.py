"""The connection files on the master: kept as long as their ports are free or our controller's, else made anew."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from clusterctl.node.programs import node_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell whose processes there are")

HOLDER = """
import json, socket, sys
with open("security/ipcontroller-engine.json") as file:
    engine = json.load(file)
with open("security/ipcontroller-client.json") as file:
    client = json.load(file)
names = ("control", "mux", "task", "iopub", "notification", "broadcast")
ports = [client["registration"], *(client[name] for name in names)]
ports += [engine[name] for name in ("control", "mux", "task", "iopub", "hb_ping", "hb_pong")] + engine["broadcast"]
held = []
for count in (3, len(ports)):
    while len(held) < count:
        held.append(socket.create_server(("127.0.0.1", ports[len(held)])))
    print(count, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def profile(tmp_path, allow_subprocess):
    (tmp_path / "security").mkdir()
    (tmp_path / "ipcontroller.py").write_text(HOLDER)
    (tmp_path / "other.py").write_text(HOLDER)
    return tmp_path


def begin(profile, *, curve=True, kept=""):
    """The script of a join, as a process that prints the file for engines."""
    wanted = {"profile": profile, "engine_ip": "127.0.0.1", "curve": curve, "notebook": None, "kept": kept}
    text = node_program("clusterctl.on_node.with_ipyparallel.connection_files", wanted)
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


def made(process):
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(out)


@contextmanager
def holder(profile, name):
    """A program of that name that has three of the ports, and takes the others when it is told to."""
    command = [sys.executable, str(profile / name)]
    with subprocess.Popen(
        command, cwd=profile, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout.readline() == "3\n"
        yield process
        process.kill()


def test_a_controller_that_is_taking_its_ports_keeps_them(profile):
    first = made(begin(profile))
    with holder(profile, "ipcontroller.py") as controller:
        again = begin(profile)
        with pytest.raises(subprocess.TimeoutExpired):
            again.wait(2)
        controller.stdin.write("\n")
        assert made(again) == first
        assert made(begin(profile)) == first


def test_of_ports_that_somebody_else_has_others_are_taken_at_once(profile):
    first = made(begin(profile))
    with holder(profile, "other.py") as other:
        assert made(begin(profile))["registration"] != first["registration"]
        assert other.poll() is None


def test_a_controller_of_former_files_ends_so_that_it_starts_with_the_new_ones(profile):
    made(begin(profile))
    with holder(profile, "ipcontroller.py") as controller:
        assert made(begin(profile, curve=False))["key"]
        assert controller.wait(60) < 0


def test_another_master_gets_the_ports_and_keys_that_were_kept(profile, tmp_path):
    kept, other = tmp_path / "home" / "kept", tmp_path / "other"
    first = made(begin(profile, kept=kept))
    (other / "security").mkdir(parents=True)
    assert made(begin(other, kept=kept)) == first
    names = ("ipcontroller-client.json", "ipcontroller-curve.json")
    for name in names:
        assert (other / "security" / name).read_text() == (profile / "security" / name).read_text()


def test_ports_that_another_program_has_on_the_new_master_are_chosen_anew_and_kept(profile, tmp_path):
    kept, other = tmp_path / "kept", tmp_path / "other"
    first = made(begin(profile, kept=kept))
    (other / "security").mkdir(parents=True)
    with holder(profile, "other.py"):
        second = made(begin(other, kept=kept))
    assert second["registration"] != first["registration"]
    assert json.loads((kept / "ipcontroller-engine.json").read_text()) == second
