"""A node that leaves, or is taken, tells its jobs first; those of other nodes on the same computer go on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

from clusterctl_plugins.ipcluster import daemons

from clusterctl.node.ending import runners_pattern
from clusterctl.node.render import render
from clusterctl.testing import fake_node

RUNNER = """
import signal, sys, time
def end(*_):
    print("saved", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""


def runner(home, alias):
    words = ["clusterctl.clients.run_job", f"{home}/.clusterctl/jobs/9845a3bd4", alias, "3", "ticket", "4", "2"]
    process = subprocess.Popen([sys.executable, "-c", RUNNER, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def test_its_jobs_have_time_to_write_down_what_they_have(tmp_path, monkeypatch, allow_subprocess):
    monkeypatch.setattr(daemons.services, "stop", lambda *_: "echo services stop")
    home = tmp_path / "me (at home)"
    node = fake_node("node001")
    node = replace(node, layout=replace(node.layout, home=home))
    leaving, staying = runner(home, "node001"), runner(home, "node0011")
    try:
        script = daemons.leave_script(SimpleNamespace(mark=""), node, ["engine"])
        ended = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
        assert leaving.communicate(timeout=30)[0] == "saved\n"
        assert ended.communicate(timeout=30)[0] == "services stop\n"
        assert ended.returncode == 0
        assert staying.poll() is None
    finally:
        for process in (leaving, staying):
            process.kill()
            process.communicate()


def test_a_spot_node_tells_them_before_anything_else(tmp_path, allow_subprocess):
    node = fake_node("node001")
    node = replace(node, layout=replace(node.layout, home=tmp_path))
    taken, staying = runner(tmp_path, "node001"), runner(tmp_path, "node002")
    try:
        values = {"status": "true", "stop": "exit 9", "user": "me", "goodbye": "false"}
        script = render("spot_stop.sh.j2", runners=runners_pattern(node), **values)
        assert subprocess.run(["sh", "-c", script], check=False).returncode == 0
        assert taken.communicate(timeout=30)[0] == "saved\n"
        assert staying.poll() is None
    finally:
        for process in (taken, staying):
            process.kill()
            process.communicate()
