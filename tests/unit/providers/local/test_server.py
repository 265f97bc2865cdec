"""The SSH server of a node: logins, commands, terminals, files, forwarding."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import paramiko
import pytest

from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Facet
from clusterctl.providers.local import LocalProvider
from clusterctl.providers.local import provider as provider_module

from ....support.local_nodes import DEADLINE_S, connect, lives, run, until
from ....support.provider_contract import ProviderContract, plan_for

pytestmark = pytest.mark.e2e
WHICH = "command -v uv; command -v python3; command -v python"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, key_pair):
    """A master and a worker for all tests that only log in."""
    local = LocalProvider(tmp_path_factory.mktemp("nodes") / "local", os.environ)
    yield local.create(plan_for("master", "node001"), public_key=key_pair[1])
    local.destroy("lab")


class TestPromises(ProviderContract):
    """Of every provider, here of this one."""


class TestLogin:
    def test_the_clusters_key_runs_a_command_on_a_node_that_shows_the_pinned_key(self, nodes, login):
        master, worker = nodes
        for node in (master, worker):
            status, output, _ = run(login(node), "echo $CLUSTERCTL_NODE; pwd; id -u")
            assert status == 0
            assert output.split() == [node.alias, str(node.layout.home), str(os.getuid())]

    def test_another_key_a_password_and_another_user_are_refused(self, nodes, key_pair, key, tmp_path):
        node = nodes[0]
        (tmp_path / "other").write_text(new_key_pair("")[0].reveal())
        other = paramiko.Ed25519Key.from_private_key_file(tmp_path / "other")
        for options in ({"pkey": other}, {"password": "secret"}, {"pkey": key, "username": "nobody-here"}):
            with pytest.raises(paramiko.SSHException):
                connect(node, **options)

    def test_a_node_with_another_host_key_is_not_spoken_to(self, nodes, key):
        master, worker = nodes
        assert master.host_key != worker.host_key
        with pytest.raises(paramiko.BadHostKeyException):
            connect(provider_module.Node(**{**vars(master), "host_key": worker.host_key}), pkey=key)


class TestCommands:
    def test_exit_status_signal_and_both_outputs_are_told(self, nodes, login):
        client = login(nodes[0])
        assert run(client, "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")
        assert run(client, "kill -9 $$")[0] == -1  # paramiko's word for a signal
        assert run(client, "no-such-program")[0] == 127

    def test_five_megabytes_pass_both_ways_and_unread_input_does_no_harm(self, nodes, login):
        client = login(nodes[0])
        text = b"x" * 5_000_000
        assert run(client, "head -c 5000000 /dev/zero | tr '\\0' x")[1] == text.decode()
        assert run(client, "wc -c", stdin=text)[1].strip() == "5000000"
        assert run(client, "cat", stdin=text)[1] == text.decode()
        assert run(client, "exec <&-; echo deaf")[1] == "deaf\n"

    @pytest.mark.timeout(60)
    def test_a_daemon_that_lets_go_of_its_output_does_not_hold_the_command(self, nodes, login):
        client = login(nodes[0])
        assert run(client, "sleep 1000 >/dev/null 2>&1 </dev/null & echo on")[:2] == (0, "on\n")

    def test_the_end_of_a_channel_closes_the_programs_input(self, nodes, login, tmp_path):
        client = login(nodes[0])
        channel = client.get_transport().open_session()
        channel.exec_command(f"cat; echo over > {tmp_path}/over")
        channel.close()
        until((tmp_path / "over").exists)

    def test_many_sessions_run_at_once(self, nodes, login):
        client = login(nodes[0])
        channels = [client.get_transport().open_session() for _ in range(20)]
        for number, channel in enumerate(channels):
            channel.exec_command(f"read line; exit {number}")
        for channel in channels:
            channel.sendall(b"go\n")
        assert [channel.recv_exit_status() for channel in channels] == list(range(20))

    def test_the_environment_is_the_nodes_and_not_the_laptops(self, root, key_pair, login):
        env = {**os.environ, "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/nowhere", "IPP_PROFILE": "mine"}
        # The server itself has to come up as well.
        meant_for_others = {
            "PYTHONWARNINGS": "error",
            "PYTHONINSPECT": "1",
            "PYTHONSTARTUP": "/nowhere",
            "JPY_PARENT_PID": "1",
        }
        env |= {**meant_for_others, "PYTHONOPTIMIZE": "2", "COVERAGE_PROCESS_START": "x"}
        env |= {"HTTPS_PROXY": "http://proxy", "UV_CACHE_DIR": "/cache/uv", "VIRTUAL_ENV": sys.prefix}
        local = LocalProvider(root, env)
        (node,) = local.create(plan_for("master"), public_key=key_pair[1])
        try:
            client = login(node)
            told = dict(line.split("=", 1) for line in run(client, "env")[1].splitlines() if "=" in line)
            programs = run(client, f"{WHICH}; python3 -c 'import sys; print(sys.prefix)'")
        finally:
            local.destroy("lab")
        for name in ("AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "IPP_PROFILE", "VIRTUAL_ENV", "TERM"):
            assert name not in told
        assert not [name for name in told if name.startswith(("PYTHON", "JPY_", "COVERAGE_"))]
        folder = str(Path(node.layout.env).parent)
        assert told["HOME"] == str(node.layout.home)
        assert told["CLUSTERCTL_NODE_ROOT"] == folder
        assert told["HTTPS_PROXY"] == "http://proxy"
        assert told["UV_CACHE_DIR"] == "/cache/uv"
        assert programs[1].split() == [f"{folder}/bin/{name}" for name in ("uv", "python3", "python")] + [
            sys.base_prefix
        ]


class TestTerminal:
    def test_a_shell_on_a_terminal_knows_its_size_and_hears_of_a_new_one(self, nodes, login):
        channel = login(nodes[0]).invoke_shell(term="xterm", width=91, height=33)
        channel.settimeout(DEADLINE_S)
        channel.sendall(b"stty size; echo $TERM; tty; echo one-$((1+1))\n")
        text = read_until(channel, b"one-2")
        assert b"33 91" in text
        assert b"xterm" in text
        assert b"/dev/" in text
        channel.resize_pty(width=70, height=20)
        channel.sendall(b"stty size; echo two-$((1+1))\n")
        assert b"20 70" in read_until(channel, b"two-2")
        channel.sendall(b"exit 5\n")
        assert channel.recv_exit_status() == 5

    def test_ctrl_c_reaches_the_program_and_hanging_up_ends_it(self, nodes, login, tmp_path):
        node = nodes[0]
        channel = login(node).get_transport().open_session()
        channel.settimeout(DEADLINE_S)
        channel.get_pty()
        channel.exec_command("echo ready; exec sleep 1000")  # dash may miss it while it forks
        read_until(channel, b"ready")
        channel.sendall(b"\x03")
        assert channel.recv_exit_status() == -1
        channel = login(node).get_transport().open_session()
        channel.get_pty()
        channel.exec_command(f"echo $$ > {tmp_path}/pid; echo ready; exec sleep 1000")
        read_until(channel, b"ready")
        pid = int((tmp_path / "pid").read_text())
        channel.close()
        until(lambda: not lives(pid))


def read_until(channel, mark):
    text = b""
    while mark not in text:
        more = channel.recv(10000)
        assert more, text
        text += more
    return text


class TestFiles:
    def test_sftp_reads_and_writes_below_home_and_by_absolute_paths(self, start, login, tmp_path):
        (node,) = start("master")
        with login(node).open_sftp() as sftp:
            assert sftp.normalize(".") == str(node.layout.home)
            data = os.urandom(1_000_000)
            with sftp.open("notes.bin", "wb") as file:
                file.write(data)
            assert (Path(node.layout.home) / "notes.bin").read_bytes() == data
            sftp.get("notes.bin", str(tmp_path / "back"))
            assert (tmp_path / "back").read_bytes() == data
            sftp.put(str(tmp_path / "back"), f"{tmp_path}/absolute")
            assert (tmp_path / "absolute").read_bytes() == data
            assert sftp.listdir(".") == ["notes.bin"]
            sftp.get_channel().shutdown_write()
            assert sftp.get_channel().recv_exit_status() == 0

    def test_the_home_is_shared_by_the_nodes_and_the_rest_is_not(self, nodes, login):
        master, worker = nodes
        assert Facet.SHARED_HOME in master.facets
        run(login(master), "echo text > ~/shared")
        assert run(login(worker), "cat ~/shared")[1] == "text\n"
        assert master.layout.home == worker.layout.home
        assert master.layout.run != worker.layout.run
        assert stat.S_IMODE(Path(master.layout.run).stat().st_mode) == 0o700
        assert len(str(master.layout.run)) < 80


class TestForwarding:
    def test_to_loopback_it_works_and_to_elsewhere_it_is_refused(self, nodes, login):
        transport = login(nodes[0]).get_transport()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            for host in ("127.0.0.1", "localhost"):
                channel = transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 1))
                accepted, _ = listener.accept()
                with accepted:
                    channel.sendall(b"ping")
                    assert accepted.recv(4) == b"ping"
                channel.close()
        for host in ("192.0.2.1", "example.com", "0.0.0.0"):
            with pytest.raises(paramiko.ChannelException):
                transport.open_channel("direct-tcpip", (host, 22), ("127.0.0.1", 1))
        with pytest.raises(paramiko.SSHException):
            transport.request_port_forward("127.0.0.1", 0)


@pytest.mark.e2e
def test_a_host_key_that_is_damaged_meanwhile_keeps_nobody_out(start, login):
    (node,) = start("master")
    login(node)  # it has read the file
    (Path(node.layout.env).parent / "host_key").write_bytes(b"-----BEGIN")
    assert run(login(node), "echo here")[1] == "here\n"
