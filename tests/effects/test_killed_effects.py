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
SEED, SAMPLES = 3, 6


@pytest.fixture
def machine(lab):
    """A host that lasts, and one cluster with an act that kills the join at its n-th program."""
    lab.boot(MASTER, facets=LASTING)
    lab.sh(MASTER, SHIM.format(programs=PROGRAMS))
    cluster = lab.cluster()
    base = plugin("base", sudo=True, root_ssh=True, keep_home=False)
    remote = cluster.on(cluster.master)
    real = remote.run_script

    def join_until(step):
        lab.sh(MASTER, f"rm -f /shim/.count; echo {step} > /shim/.last")
        remote.run_script = lambda script, **about: real(f"PATH=/shim:$PATH\nexport PATH\n{script}", **about)
        try:
            base.clusterctl_join(cluster, cluster.master)
        finally:
            remote.run_script = real
        return int(lab.sh(MASTER, "wc -l < /shim/.count"))

    return lab, cluster, base, join_until


def test_a_join_that_is_killed_anywhere_is_whole_after_the_next_and_undone_without_a_trace(machine):
    lab, cluster, base, join_until = machine
    before, files = kept(lab, MASTER), tree(lab, MASTER)
    steps = join_until(0)
    base.clusterctl_undo(cluster, cluster.master)
    assert steps > 50
    for step in sorted(random.Random(SEED).sample(range(1, steps), SAMPLES)):
        with pytest.raises(RemoteError, match="status 137"):
            join_until(step)
        assert join(base, cluster)[MASTER], f"killed at {step} of {steps}"
        assert join(base, cluster) == {MASTER: []}, f"killed at {step} of {steps}"
        assert lab.sh(MASTER, "find / -xdev -name '*clusterctl-new*' -not -path '/proc/*'") == ""
        assert lab.sh(MASTER, "sudo -n id -u", user="me") == "0"
        base.clusterctl_undo(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files), f"killed at {step} of {steps}"
