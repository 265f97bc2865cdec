"""What is left of a script that was killed on a machine: nothing that the next one does not put right."""

from __future__ import annotations

import random

import pytest

from clusterctl.api import RemoteError
from clusterctl.model import MASTER

from ..support.machine_lab import LASTING, join, kept, plugin, tree

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

PROGRAMS = (
    "mkdir mv cp rm chmod chown cat grep sed install useradd groupadd usermod ssh-keygen find cmp stat readlink id"
)
SHIM = """mkdir /shim
for name in {programs}; do
    program=$(command -v "$name") || continue
    cat > /shim/$name <<END
#!/bin/sh
PATH=$PATH
echo x >> /shim/.count
if [ "\\$(wc -l < /shim/.count)" -eq "\\$(cat /shim/.last)" ]; then
    kill -9 -\\$(cut -d ' ' -f 5 /proc/\\$\\$/stat)
fi
exec $program "\\$@"
END
    chmod 755 /shim/$name
done
echo 0 > /shim/.last"""
SEED, SAMPLES = 11, 10


class Machine:
    """A host that lasts, whose scripts can be killed at their n-th program."""

    def __init__(self, lab):
        self.lab = lab
        lab.boot(MASTER, facets=LASTING)
        lab.sh(MASTER, SHIM.format(programs=PROGRAMS))
        self.cluster = lab.cluster()
        self.base = plugin("base", sudo=True, root_ssh=True, keep_home=False)
        self.before = self.look()

    def look(self):
        return kept(self.lab, MASTER), tree(self.lab, MASTER)

    def join(self):
        self.base.clusterctl_join(self.cluster, self.cluster.master)

    def undo(self):
        self.base.clusterctl_undo(self.cluster, self.cluster.master)

    def steps(self, act):
        """How many programs an act takes."""
        self._until(act, 0)
        return int(self.lab.sh(MASTER, "wc -l < /shim/.count"))

    def kill(self, act, step):
        with pytest.raises(RemoteError, match="status 137"):
            self._until(act, step)

    def _until(self, act, step):
        self.lab.sh(MASTER, f"rm -f /shim/.count; echo {step} > /shim/.last")
        remote = self.cluster.on(self.cluster.master)
        real = remote.run_script
        remote.run_script = lambda script, **about: real(f"PATH=/shim:$PATH\nexport PATH\n{script}", **about)
        try:
            act()
        finally:
            remote.run_script = real


@pytest.fixture
def machine(lab):
    return Machine(lab)


def sample(steps):
    assert steps > 20
    return sorted(random.Random(SEED).sample(range(1, steps), SAMPLES))


def test_a_join_that_is_killed_anywhere_is_whole_after_the_next_and_undone_without_a_trace(machine):
    steps = machine.steps(machine.join)
    machine.undo()
    for step in sample(steps):
        machine.kill(machine.join, step)
        assert join(machine.base, machine.cluster)[MASTER], f"killed at {step} of {steps}"
        assert join(machine.base, machine.cluster) == {MASTER: []}, f"killed at {step} of {steps}"
        assert machine.lab.sh(MASTER, "find / -xdev -name '*clusterctl-new*' -o -xdev -name '*clusterctl-whole'") == ""
        assert machine.lab.sh(MASTER, "sudo -n id -u", user="me") == "0"
        machine.undo()
        was, now = machine.before, machine.look()
        assert set(now[1].split()) ^ set(was[1].split()) == set(), f"killed at {step} of {steps}"
        assert now == was, f"killed at {step} of {steps}"


def test_an_undo_that_is_killed_anywhere_is_completed_by_the_next(machine):
    machine.join()
    steps = machine.steps(machine.undo)
    for step in sample(steps):
        machine.join()
        machine.kill(machine.undo, step)
        machine.undo()
        was, now = machine.before, machine.look()
        assert set(now[1].split()) ^ set(was[1].split()) == set(), f"killed at {step} of {steps}"
        assert now == was, f"killed at {step} of {steps}"
