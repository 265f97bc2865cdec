"""Getting onto machines that are not ours: through a gateway, and by the tunnel."""

from __future__ import annotations

import asyncio
import getpass
import socket
import subprocess
import threading
from contextlib import AsyncExitStack
from dataclasses import replace

import asyncssh
import pytest

from clusterctl.errors import RemoteError
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.model import Access
from clusterctl.operations.nodes.ssh_config import write_ssh_config
from clusterctl.remote.gateways import Gateways, _connect_socket
from clusterctl.testing import fake_node
from clusterctl.tunnel import forwarder
from clusterctl.tunnel import process as tunnel

from ..support.openssh import locked_key
from ..support.sshds import free_port, require, tunnel_works

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def went(server):
    """Whether somebody who was logged in there has gone."""
    signs = ("isconnect", "onnection closed", "onnection reset", "roken pipe")  # the last two: while it was writing
    return any(sign in server.log for sign in signs)


class TestGateway:
    @pytest.fixture
    def gate(self, sshds, host, login, home):
        """A gateway that lets the user's own key in and not the cluster's, as the hosts do the other way round."""
        server = sshds.start()
        server.allow(ensure_key_pair(home / "id_ed25519"))
        host.allow(login.public_key)
        (home / "known_hosts").write_text(server.known_hosts_line)
        return server

    @staticmethod
    def behind(gate, host, **changes):
        return host.node(access=Access(jump=f"{getpass.getuser()}@127.0.0.1:{gate.port}"), **changes)

    def test_all_nodes_behind_it_share_one_login_there_which_ends_with_the_last(self, gate, host, login, poll):
        gateways = Gateways()
        nodes = [self.behind(gate, host, alias=alias) for alias in ("master", "node001", "node002")]
        login.pin(*nodes)
        remotes = [login.to(node, gateways=gateways) for node in nodes]
        threads = [threading.Thread(target=remote.run, args=("echo hi",)) for remote in remotes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [remote.run("echo hi").stdout for remote in remotes] == ["hi\n"] * 3
        assert gate.log.count("Accepted publickey") == 1
        for remote in remotes:
            assert not went(gate)
            remote.close()
        poll(lambda: went(gate), "the gateway sees its user go")

    def test_ssh_itself_goes_through_it_by_the_config_for_it(self, gate, host, login, home, lab, tmp_path):
        require("ssh")
        node = self.behind(gate, host, cluster="lab")
        lab.provider.machines["lab", "master"] = node
        context = lab.parts()
        context.folder.ensure_exists()
        context.folder.pin_host_keys([node])
        host.allow(context.folder.private_key_file.with_suffix(".pub").read_text())
        config = tmp_path / "config"
        own = f'IdentityFile "{home}/id_ed25519"\nUserKnownHostsFile "{home}/known_hosts"\n'  # ssh takes no $HOME
        config.write_text(f"{write_ssh_config(context)}\nHost 127.0.0.1\n{own}")
        command = ["ssh", "-F", config, "-o", "BatchMode=yes", "lab", "echo hi"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.returncode) == ("hi\n", 0), done.stderr
        assert "Accepted publickey" in gate.log

    def test_one_that_went_away_is_logged_in_to_again(self, gate, host, login):
        gateways = Gateways()
        node = self.behind(gate, host)
        login.pin(node)
        login.to(node, gateways=gateways).connect()
        gateways._clients[node.access.jump].close()
        assert login.to(node, gateways=gateways).run("echo hi").stdout == "hi\n"

    def test_one_that_nobody_knows_is_refused(self, gate, host, login, home):
        (home / "known_hosts").unlink()
        node = self.behind(gate, host)
        login.pin(node)
        said = login.refusal(node)
        assert f"the host key of the gateway 127.0.0.1:{gate.port} is not in your known_hosts" in said
        assert f"ssh -p {gate.port} {getpass.getuser()}@127.0.0.1" in said

    def test_one_that_shows_another_key_is_refused(self, gate, host, login, home, tmp_path):
        key = ensure_key_pair(tmp_path / "another")
        (home / "known_hosts").write_text(f"[127.0.0.1]:{gate.port} {key}\n")
        login.pin(self.behind(gate, host))
        said = login.refusal(self.behind(gate, host))
        assert f"the gateway 127.0.0.1:{gate.port} shows another host key" in said
        assert f"ssh-keygen -R '[127.0.0.1]:{gate.port}'" in said

    def test_one_that_lets_nobody_in_is_named(self, gate, host, login, home):
        (home / "id_ed25519").unlink()
        login.pin(self.behind(gate, host))
        assert f"is not let in at the gateway 127.0.0.1:{gate.port}" in login.refusal(self.behind(gate, host))

    def test_a_host_that_is_off_behind_it_is_told_with_its_gateway(self, gate, login):
        node = fake_node(
            address="127.0.0.1", port=free_port(), access=Access(jump=f"{getpass.getuser()}@127.0.0.1:{gate.port}")
        )
        said = login.refusal(node, RemoteError)
        assert f"does not answer on 127.0.0.1:{node.port} through " in said

    def test_one_that_is_off_is_waited_for_once(self, login, monkeypatch):
        gateways, tried = Gateways(), []
        monkeypatch.setattr(
            "clusterctl.remote.gateways._connect_socket", lambda *where: tried.append(where) or _connect_socket(*where)
        )
        with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
            jump = f"me@127.0.0.1:{silent.getsockname()[1]}"
            waiting = [socket.socket() for _ in range(3)]
            for each in waiting:  # fills its backlog: the next one gets no answer at all
                each.setblocking(False)
                each.connect_ex(silent.getsockname())
            (login.folder / "me" / ".ssh" / "known_hosts").write_text(
                f"[127.0.0.1]:{silent.getsockname()[1]} {login.public_key}\n"
            )
            for alias in ("master", "node001", "node002"):
                node = fake_node(alias, access=Access(jump=jump))
                assert "does not answer" in login.refusal(node, RemoteError, gateways=gateways)
            assert tried == [silent.getsockname()]
            for each in waiting:
                each.close()


class TestMember:
    """The master is the gateway to workers without a public address: the cluster's key and host keys count there."""

    @pytest.fixture
    def gate(self, sshds, login):
        server = sshds.start()
        server.allow(login.public_key)
        return server

    @staticmethod
    def behind(gate, host, alias="node001"):
        return host.node(alias=alias, access=Access(through=gate.node(alias="master")))

    def test_all_workers_share_one_login_there_which_ends_with_the_last(self, gate, host, login, poll):
        host.allow(login.public_key)
        gateways = Gateways()
        nodes = [self.behind(gate, host, alias) for alias in ("node001", "node002", "node003")]
        login.pin(*nodes, gate.node(alias="master"))
        remotes = [login.to(node, gateways=gateways) for node in nodes]
        assert [remote.run("echo hi").stdout for remote in remotes] == ["hi\n"] * 3
        assert gate.log.count("Accepted publickey") == 1
        for remote in remotes:
            assert not went(gate)
            remote.close()
        poll(lambda: went(gate), "the master sees its user go")

    def test_a_master_with_another_host_key_is_no_gateway(self, gate, host, login):
        host.allow(login.public_key)
        login.pin(self.behind(gate, host), replace(gate.node(alias="master"), host_key=login.public_key))
        said = login.refusal(self.behind(gate, host), RemoteError)
        assert "node001: master (127.0.0.1:" in said
        assert "shows another host key than the one that was pinned" in said
        assert "Accepted" not in gate.log

    def test_a_master_that_is_off_is_named(self, host, login):
        gate = fake_node("master", address="127.0.0.1", port=free_port())
        node = host.node(alias="node001", access=Access(through=gate))
        login.pin(node, gate)
        assert f"node001: master does not answer on 127.0.0.1:{gate.port}" in login.refusal(node, RemoteError)

    def test_ssh_itself_goes_through_it_by_the_config_for_it(self, gate, host, home, lab, tmp_path):
        require("ssh")
        master = gate.node(alias="master", cluster="lab")
        worker = host.node(alias="node001", cluster="lab", access=Access(through=master))
        lab.provider.machines.update({("lab", "master"): master, ("lab", "node001"): worker})
        context = lab.parts()
        context.folder.ensure_exists()
        context.folder.pin_host_keys([master, worker])
        for server in (gate, host):
            server.allow(context.folder.private_key_file.with_suffix(".pub").read_text())
        config = tmp_path / "config"
        config.write_text(write_ssh_config(context))
        command = ["ssh", "-F", config, "-o", "BatchMode=yes", "lab-node001", "echo hi"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.returncode) == ("hi\n", 0), done.stderr
        assert "Accepted publickey" in gate.log


@pytest.mark.timeout(60)  # the system itself gives up after two minutes
def test_a_silent_host_is_given_up_soon(login):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(silent.getsockname())
        assert "does not answer" in login.refusal(fake_node(port=silent.getsockname()[1]), RemoteError)
        for each in waiting:
            each.close()


class TestTunnel:
    def test_it_goes_through_the_gateway(self, sshds, host, login, home, echo, tmp_path):
        gate = sshds.start()
        gate.allow(ensure_key_pair(home / "id_ed25519"))
        host.allow(login.public_key)
        (home / "known_hosts").write_text(gate.known_hosts_line)
        node = host.node(access=Access(jump=f"{getpass.getuser()}@127.0.0.1:{gate.port}"))
        assert tunnel_works(login, node, echo)
        assert "Accepted publickey" in gate.log

    def test_it_goes_through_no_gateway_that_nobody_knows(self, sshds, host, home, tmp_path):
        gate = sshds.start()
        gate.allow(ensure_key_pair(home / "id_ed25519"))
        node = host.node(access=Access(jump=f"{getpass.getuser()}@127.0.0.1:{gate.port}"))

        async def connect():
            async with AsyncExitStack() as opened:
                await forwarder._connect_to_target(
                    tunnel.Target.for_node(node, tmp_path / "id", tmp_path / "pinned"), opened
                )

        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            asyncio.run(connect())
        assert "Accepted" not in gate.log

    def test_it_has_the_key_file(self, host, login, echo, tmp_path):
        host.allow(ensure_key_pair(tmp_path / "mine"))
        assert tunnel_works(login, host.node(access=Access(key=str(tmp_path / "mine"))), echo)

    def test_it_has_the_agents_keys(self, host, login, echo, tmp_path, agent):
        host.allow(ensure_key_pair(tmp_path / "mine"))
        agent(tmp_path / "mine")
        assert tunnel_works(login, host.node(access=Access(agent=True)), echo)

    def test_it_has_a_key_with_a_passphrase_from_the_agent(self, host, login, echo, tmp_path, agent):
        host.allow(locked_key(tmp_path / "mine", agent))
        assert tunnel_works(login, host.node(access=Access(key=str(tmp_path / "mine"))), echo)
