"""Containers that are all born with one host key, as machines of one launch are: each gets its own, and all know it."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from clusterctl.identity.keys import new_key_pair
from clusterctl.journal import ClusterFolder
from clusterctl.node.render import render
from clusterctl.operations.start import start_cluster
from clusterctl.plugin import loader
from clusterctl.wiring.context import make_connector

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
ALIASES = ("master", "node001", "node002")
PUT = """cat > /etc/ssh/ssh_host_ed25519_key.new && chmod 600 /etc/ssh/ssh_host_ed25519_key.new
mv /etc/ssh/ssh_host_ed25519_key.new /etc/ssh/ssh_host_ed25519_key
until ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -qF "$1"; do pkill -HUP -o -x sshd; sleep 0.1; done"""


class Born:
    """The docker provider, but for the host keys: of these it says what a cloud says."""

    def __init__(self, provider, folder):
        self._provider = provider
        self._folder = folder
        self._private, self.throwaway = new_key_pair("")
        self.facets, self.name = provider.facets, provider.name

    def check(self, plan, *more):
        return self._provider.check(plan, *more)

    def create(self, plan, **options):
        known = self._folder.host_keys()
        for node in self._provider.create(plan, **options):
            container = node.id.partition("@")[0]
            if container not in known:
                subprocess.run(
                    ["docker", "exec", "-i", container, "timeout", "30", "sh", "-ec", PUT, "sh", self.throwaway],
                    input=self._private.reveal().encode(),
                    check=True,
                )
        return self.nodes(plan.cluster)

    def nodes(self, cluster=None):
        known = self._folder.host_keys()
        return [
            replace(
                node,
                host_key=known.get(node.id.partition("@")[0], self.throwaway),
                bootstrap_key=node.id.partition("@")[0] not in known,
            )
            for node in self._provider.nodes(cluster)
        ]


@pytest.fixture
def parts(lab, docker_provider, docker_image):
    folder = ClusterFolder(lab.home, "born")
    made = lab.parts(
        {"base": loader.find_plugin_class("base")},
        name="born",
        provider="docker",
        node_image_id=docker_image,
        cluster_user="iptest",
        cluster_size=3,
    )
    return replace(made, folder=folder, provider=Born(docker_provider, folder), connector=make_connector(folder))


def check_that_all_is_well(parts, started):
    assert started.problems == ()
    assert started.ok
    keys = {node.alias: node.host_key for node in started.nodes}
    assert len({*keys.values(), parts.provider.throwaway}) == 4
    assert not any(node.bootstrap_key for node in started.nodes)
    cluster = parts.make_cluster(started.nodes)
    try:
        for node in started.nodes:
            known = cluster.on(node).run("cat /etc/ssh/ssh_known_hosts").stdout
            assert {alias: key for alias, key in keys.items() if key in known} == keys
            assert parts.provider.throwaway not in known
            for other in ALIASES:
                log_in = f"ssh -o BatchMode=yes -o StrictHostKeyChecking=yes {other} hostname"
                assert cluster.on(node).run(f"su iptest -c '{log_in}'").stdout == f"{other}\n"
    finally:
        cluster.close()
    return keys


def test_all_members_have_keys_of_their_own_and_know_each_other_by_them(parts, docker_provider):
    started = start_cluster(parts)
    assert set(started.joined) == set(ALIASES)
    keys = check_that_all_is_well(parts, started)
    docker_provider.stop("born")
    again = start_cluster(parts)
    assert check_that_all_is_well(parts, again) == keys
    check_that_a_server_that_is_started_anew_is_waited_for(parts, again)


def check_that_a_server_that_is_started_anew_is_waited_for(parts, started):
    """systemd takes the folder of a server away while it starts it anew, as cloud-init has it do soon after a boot."""
    cluster = parts.make_cluster(started.nodes)
    (master,) = [node for node in started.nodes if node.is_master]
    meanwhile = "mv /run/sshd /run/away\n(sleep 0.5; mv /run/away /run/sshd) &\n"
    try:
        switch = render("host_key_use.sh.j2", own=master.host_key)
        cluster.on(master).run_script(meanwhile + switch, name="host key", sudo=True)
    finally:
        cluster.close()
