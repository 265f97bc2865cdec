"""What `list` and `status` say of nodes that are not as they should be."""

from __future__ import annotations

import json
import os
import shutil
import signal

import psutil
import pytest

from clusterctl.clock import Deadline

from ..support.deafness import hold

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


def troubles(laptop):
    (cluster,) = laptop.json("list", "--json")
    return cluster["state"], {trouble["node"]: trouble["what"] for trouble in cluster["troubles"]}


@pytest.mark.skipif(os.getuid() != 0, reason="ptrace: only root may hold a process that is not its own child")
def test_a_node_that_is_silent_off_or_gone_is_told_and_a_start_brings_it_back(laptop):
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=1", "told")
    assert troubles(laptop) == ("running", {})
    folder = laptop.node_folder("told", "node001")
    running = json.loads((folder / "pid").read_text())
    pids = [running["guardian"], running["pid"]]  # the guardian would replace a server that is deaf

    holders = [hold(pid) for pid in pids]
    try:
        assert "node001 is silent: " in laptop.run("status", "told", status=1).stdout
    finally:
        for pid, holder in zip(pids, holders, strict=True):
            os.kill(pid, signal.SIGKILL)
            holder.communicate(timeout=20)
    for _ in Deadline.after(20).polls(0.2):
        if not any(map(psutil.pid_exists, pids)):
            break
    shutil.rmtree(folder)
    assert troubles(laptop) == ("partial", {"node001": "gone"})
    assert "  node001 is gone\n" in laptop.run("status", "told", status=1).stdout

    laptop.run("start", "told")
    assert troubles(laptop) == ("running", {})
    assert laptop.json("status", "--json", "told")["healthy"] is True
