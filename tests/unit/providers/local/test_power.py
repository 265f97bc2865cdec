"""How a node ends, and comes back."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from clusterctl.model import NodeState
from clusterctl.providers.base import Power

from ....support.local_nodes import lives, run, server_of, start_daemon, until
from ....support.provider_contract import ids

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


class TestTheEndOfANode:
    def test_killing_the_nodes_process_ends_a_daemon_that_got_away(self, provider, start, login, tmp_path):
        (node,) = start("master")
        client = login(node)
        daemons = [start_daemon(client, tmp_path, name) for name in ("one", "two")]
        running = server_of(provider, node)
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: not any(map(lives, [*daemons, running.guardian])))
        assert provider.nodes("lab")[0].state is NodeState.STOPPED

    def test_killing_the_guardian_ends_the_server_and_stop_sweeps_what_is_left(self, provider, start, login, tmp_path):
        (node,) = start("master")
        daemon = start_daemon(login(node), tmp_path)
        running = server_of(provider, node)
        os.kill(running.guardian, signal.SIGKILL)
        if sys.platform == "linux":  # elsewhere it needs the stop
            until(lambda: not lives(running.pid))
        provider.stop("lab")
        assert not lives(running.pid)
        assert not lives(daemon)

    def test_the_guardian_starts_another_server_when_told_and_no_daemon_ends(self, provider, start, login, tmp_path):
        (node,) = start("master")
        daemon = start_daemon(login(node), tmp_path)
        before = server_of(provider, node)
        os.kill(before.pid, signal.SIGSTOP)
        os.kill(before.guardian, signal.SIGUSR1)
        until(lambda: server_of(provider, node).pid != before.pid and not lives(before.pid))
        after = server_of(provider, node)
        assert (after.guardian, lives(daemon)) == (before.guardian, True)
        assert ids(provider.nodes("lab")) == ids([node])
        assert run(login(node), "true")[0] == 0
        os.kill(after.pid, signal.SIGKILL)
        until(lambda: not any(map(lives, [daemon, after.guardian])))

    def test_an_orderly_power_off_asks_before_it_kills(self, provider, start, login, tmp_path):
        client = login(*start("master"))
        script = f'trap "echo bye > {tmp_path}/bye; exit" TERM; echo > {tmp_path}/up; while :; do sleep 0.01; done'
        run(client, f"({script}) >/dev/null 2>&1 </dev/null &")
        until((tmp_path / "up").exists)
        provider.stop("lab")
        assert (tmp_path / "bye").exists()

    def test_one_node_killed_by_hand_is_told_as_stopped_and_comes_back_alone(self, provider, start, login):
        before = start("master", "node001")
        os.kill(server_of(provider, before[1]).pid, signal.SIGKILL)
        until(lambda: provider.nodes("lab")[1].state is NodeState.STOPPED)
        after = start("master", "node001")
        assert ids(after)["master"] == ids(before)["master"]
        assert ids(after)["node001"] != ids(before)["node001"]
        assert run(login(after[1]), "true")[0] == 0

    def test_a_stopped_node_comes_back_on_its_port_with_its_key_as_another_boot(self, provider, start, login):
        assert isinstance(provider, Power)
        (before,) = start("master")
        run(login(before), "echo kept > file")
        provider.stop("lab")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((before.address, before.port))
        (after,) = start("master")
        assert (after.address, after.port, after.host_key) == (before.address, before.port, before.host_key)
        assert after.id != before.id
        assert (after.machine_id, after.boot_id != before.boot_id) == (before.machine_id, True)
        assert run(login(after), "cat file")[1] == "kept\n"

    def test_a_port_taken_in_the_meantime_is_replaced(self, provider, start, login):
        (before,) = start("master")
        provider.stop("lab")
        with socket.create_server((before.address, before.port)):
            (after,) = start("master")
            assert after.port != before.port
            assert run(login(after), "true")[0] == 0

    def test_destroy_leaves_no_process_port_or_folder(self, provider, start, login, root, tmp_path):
        nodes = start("master", "node001", "node002")
        daemons = [start_daemon(login(node), tmp_path, node.alias) for node in nodes]
        run(login(nodes[0]), "mkdir -p ro/only && touch ro/only/file && chmod 500 ro/only ro")
        everything = [server_of(provider, node) for node in nodes]
        provider.destroy("lab")
        pids = [pid for running in everything for pid in (running.pid, running.guardian)]
        assert not any(map(lives, pids + daemons))
        assert list(root.iterdir()) == []
        assert not any(Path(node.layout.run).exists() for node in nodes)
        for node in nodes:
            socket.create_server((node.address, node.port)).close()

    def test_destroying_one_node_leaves_the_home_and_the_others(self, provider, start, login):
        master, worker = start("master", "node001")
        run(login(worker), "echo text > ~/shared")
        provider.destroy("lab", ["node001"])
        assert not Path(worker.layout.state).parent.exists()
        assert run(login(master), "cat ~/shared")[1] == "text\n"

    def test_a_node_can_be_destroyed_before_it_is_up(self, provider, start, root):
        start("master", "node001")
        provider.destroy("lab")
        assert list(root.iterdir()) == []
