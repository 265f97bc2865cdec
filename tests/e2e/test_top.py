"""`top` shows what a cluster does, and leaves nothing on its nodes."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
from contextlib import suppress

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

READER = "sys.stdin.buffer.read("
BUSY = """
    import time, clusterctl
    client = clusterctl.connect()
    task = client[4].apply_async(time.sleep, 100)
    print("begun", flush=True)
    time.sleep(100)
"""


def readers(laptop):
    found = []
    for process in laptop.processes():
        with suppress(psutil.Error):  # it has just ended
            if any(READER in word for word in process.cmdline()):
                found.append(process)
    return found


def test_an_engine_at_work_is_seen_and_all_nodes_tell_their_load(laptop, cluster, script, poll):
    user = script.begin(BUSY)
    assert user.stdout.readline() == "begun\n"
    documents = []

    def is_seen():
        documents.append(laptop.json("top", "--once", "--json", cluster.name))
        return any(engine["engine"] == 4 and engine["state"] == "busy" for engine in documents[-1]["engines"])

    poll(is_seen, "engine 4 is seen at work")
    document = documents[-1]
    user.kill()
    laptop.run("cancel", cluster.name)
    assert document["notes"] == []
    assert [node["alias"] for node in document["nodes"]] == ["master", "node001", "node002"]
    for node in document["nodes"]:
        assert node["trouble"] is None
        assert 0 < node["memory"]["used"] < node["memory"]["total"]
        assert 0 <= node["cpu"] <= 1
        assert node["disks"]
    engines = {engine["engine"]: engine for engine in document["engines"]}
    assert sorted(engines) == list(range(6))
    assert (engines[4]["node"], engines[4]["state"], engines[4]["kind"]) == ("node002", "busy", "apply_request")
    assert engines[4]["seconds"] >= 0
    assert document["queue"]["answered"]
    poll(lambda: not readers(laptop), "the readers end with the connection")


def test_on_a_terminal_it_is_drawn_until_q(laptop, cluster, poll):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(laptop.command[0], [*laptop.command, "top", cluster.name], laptop.env)
    seen, pressed = b"", False
    while select.select([terminal], [], [], 60)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # its last process has ended
            break
        seen += part
        if b"3 of 3 nodes heard" in seen and not pressed:
            assert readers(laptop)
            os.write(terminal, b"q")
            pressed = True
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert pressed, seen
    begin, end = seen.index(b"\x1b[?1049h"), seen.index(b"\x1b[?1049l")
    assert begin < end
    assert re.search(rb"node002 .*running", seen[begin:end])
    poll(lambda: not readers(laptop), "the readers end with the connection")


def test_a_log_is_followed_by_engine_until_ctrl_c(laptop, cluster, poll, script):
    with laptop.begin("logs", "--follow", "--engine", "3", "-n", "1", cluster.name) as follower:
        poll(lambda: readers(laptop), "it is followed")
        script("import clusterctl, os\nclusterctl.connect()[3].apply_sync(os.system, 'echo seen by engine 3')")
        seen = ""
        while "seen by engine 3" not in seen:
            seen = follower.stdout.readline()
            assert seen, "it has ended"
        assert seen.startswith("node001 engine-3: ")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 0
    poll(lambda: not readers(laptop), "the readers end with the connection")
