"""What the `users` plugin does to a machine."""

from __future__ import annotations

import subprocess

import pytest

from clusterctl.api import Facet, RemoteError
from clusterctl.model import MASTER

from ..support.machine_lab import LASTING, MACHINE, join, kept, plugin, ssh, three, tree

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


class TestUsers:
    def test_they_have_one_number_everywhere_and_keys_that_let_them_in(self, lab):
        three(lab, facets=MACHINE | {Facet.SHARED_HOME})
        cluster = lab.cluster()
        join(plugin("base"), cluster)
        users = plugin("users", usernames="anna", num_users=2)
        users.clusterctl_prepare(cluster)
        first = join(users, cluster)
        assert "changed: user user002" in first["node002"]
        names = ["anna", "user001", "user002"]
        assert len({lab.sh(alias, f"id -u {' '.join(names)}") for alias in lab.nodes}) == 1
        for name in names:
            assert ssh(lab, "node001", name, "node002", "whoami") == name
            key = lab.folder / "users" / name
            assert key.stat().st_mode & 0o777 == 0o600
            public = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
            assert public.split()[1] in lab.sh("master", f"cat /home/users/{name}/.ssh/authorized_keys")
        assert lab.sh("node001", "cat /home/users/user001/.ssh/id_ed25519", user="user002", check=False).returncode != 0
        again = plugin("users", usernames="anna", num_users=2)
        assert join(again, lab.cluster()) == {alias: [] for alias in lab.nodes}
        more = join(plugin("users", usernames="anna", num_users=3), lab.cluster())
        assert "changed: user user003" in more["node001"]
        assert not any("user001" in line for line in more["node001"])

    def test_homes_that_are_not_shared_are_refused_on_workers(self, lab):
        for alias in (MASTER, "node001"):
            lab.boot(alias)
        join(plugin("base"), lab.cluster())
        with pytest.raises(RemoteError, match="node001: /home/users is not shared with this node"):
            join(plugin("users", usernames="anna"), lab.cluster())

    def test_they_leave_a_host_that_lasts(self, lab):
        lab.boot(MASTER, facets=LASTING | {Facet.SHARED_HOME})
        cluster = lab.cluster()
        before, files = kept(lab, MASTER), tree(lab, MASTER)
        base, users = plugin("base", keep_home=False), plugin("users", num_users=2, keep_homes=False)
        join(base, cluster)
        join(users, cluster)
        users.clusterctl_undo(cluster, cluster.master)
        assert lab.sh(MASTER, "ls -d /home/users; id user001", check=False).returncode != 0
        base.clusterctl_undo(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files)
