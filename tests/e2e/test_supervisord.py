"""Services under a real supervisord: what a script that is run again starts, restarts, and leaves alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from clusterctl.node import services
from clusterctl.service import Service
from clusterctl.testing import fake_node

pytestmark = pytest.mark.e2e
SLEEPERS = Service("sleeper", ["sleep", "600"], PurePosixPath("/"), count=2)
OTHER = Service("other", ["sleep", "601"], PurePosixPath("/"))


class Daemons:
    """A node without an init, whose environment is that of this Python."""

    def __init__(self, folder, run, poll):
        made = fake_node()
        places = {"state": folder / "state", "logs": folder / "logs", "run": run, "env": sys.prefix}
        layout = replace(made.layout, **{name: PurePosixPath(path) for name, path in places.items()})
        self.node, self._poll = replace(made, layout=layout), poll

    def sh(self, script):
        done = subprocess.run(["sh", "-eus"], input=script, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ensure(self, *wanted):
        self.sh(services.ensure(self.node, wanted))

    def pids(self, count):
        """The process of each instance, once so many run."""

        def find():
            states = services.parse_status(self.sh(services.status(self.node)))
            running = [state for state in states if state.running and state.service != "watch"]
            return len(running) == count and {
                f"{state.service}-{state.number}": int(re.search(r"pid (\d+)", state.detail)[1]) for state in running
            }

        return self._poll(find, f"{count} services run", every_s=0.3)


@pytest.fixture
def daemons(tmp_path, poll):
    pytest.importorskip("supervisor", reason="supervisor: is not installed")
    with tempfile.TemporaryDirectory(prefix="cctl-", dir="/tmp") as run:  # the path of a socket must be short
        made = Daemons(tmp_path, run, poll)
        yield made
        made.sh(f'file={run}/supervisord.pid; [ ! -e "$file" ] || kill "$(cat "$file")"')
        poll(lambda: not Path(run, "supervisord.pid").exists(), "supervisord ends")


@pytest.mark.slow
def test_what_runs_is_left_alone_and_what_is_new_is_started(daemons):
    daemons.ensure(SLEEPERS)
    before = daemons.pids(2)
    daemons.ensure(SLEEPERS)
    daemons.ensure(SLEEPERS, OTHER)
    assert {**daemons.pids(3), **before} == daemons.pids(3)


@pytest.mark.slow
def test_what_was_stopped_by_hand_runs_again(daemons):
    daemons.ensure(SLEEPERS, OTHER)
    before = daemons.pids(3)
    control = f"{sys.executable} -m supervisor.supervisorctl -c {daemons.node.layout.state}/services/supervisord.conf"
    daemons.sh(f"{control} stop sleeper:sleeper-1")
    assert set(daemons.pids(2)) == {"sleeper-0", "other-0"}
    daemons.ensure(SLEEPERS, OTHER)
    after = daemons.pids(3)
    assert {name for name in after if after[name] != before[name]} == {"sleeper-1"}


@pytest.mark.slow
def test_what_is_described_anew_is_restarted_and_nothing_else(daemons):
    daemons.ensure(SLEEPERS, OTHER)
    before = daemons.pids(3)
    daemons.ensure(replace(SLEEPERS, command=["sleep", "602"], count=1), OTHER)
    after = daemons.pids(2)
    assert after["other-0"] == before["other-0"]
    assert after["sleeper-0"] not in before.values()


@pytest.mark.slow
def test_one_that_cannot_start_keeps_none_of_the_others_from_it(daemons):
    daemons.ensure(OTHER)
    before = daemons.pids(1)
    daemons.ensure(OTHER, Service("broken", ["/no/such/program"], PurePosixPath("/")), SLEEPERS)
    assert daemons.pids(3)["other-0"] == before["other-0"]
