from __future__ import annotations

import base64
import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import paramiko
import psutil
import pytest

from clusterctl.errors import ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Facet, NodeState
from clusterctl.providers.base import Power
from clusterctl.providers.local import LocalProvider, machine, power
from clusterctl.providers.local import provider as provider_module

from ...support.provider_contract import ProviderContract, ids, plan_for

pytestmark = pytest.mark.e2e
DEADLINE_S = 30


@pytest.fixture
def root(tmp_path):
    return tmp_path / "local"


@pytest.fixture
def provider(root):
    local = LocalProvider(root, os.environ)
    yield local
    for node in local.nodes():
        local.destroy(node.cluster)


@pytest.fixture(scope="module")
def key_pair():
    return new_key_pair("tests")


@pytest.fixture
def key(key_pair, tmp_path):
    path = tmp_path / "id"
    path.write_text(key_pair[0].reveal())
    return paramiko.Ed25519Key.from_private_key_file(path)


@pytest.fixture
def start(provider, key_pair):
    def start(*aliases, cluster="lab"):
        return provider.create(plan_for(*aliases, cluster=cluster), public_key=key_pair[1])

    return start


@pytest.fixture
def login(key):
    with contextlib.ExitStack() as opened:
        yield lambda node, **options: opened.enter_context(connect(node, **{"pkey": key, **options}))


def connect(node, **options):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, body = node.host_key.split()[:2]
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(body))
    client.get_host_keys().add(f"[{node.address}]:{node.port}", kind, pinned)
    line = socket.create_connection((node.address, node.port), timeout=DEADLINE_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = {"username": node.user, "look_for_keys": False, "allow_agent": False, "sock": line, **options}
    try:
        client.connect(node.address, node.port, timeout=DEADLINE_S, **options)
    except BaseException:
        client.close()
        raise
    return client


def run(client, command, *, stdin=b""):
    """Exit status, output, errors."""
    channel = client.get_transport().open_session()
    channel.settimeout(DEADLINE_S)
    channel.exec_command(command)
    channel.sendall(stdin)
    channel.shutdown_write()
    output = channel.makefile("rb").read()
    errors = channel.makefile_stderr("rb").read()
    status = channel.recv_exit_status()
    channel.close()
    return status, output.decode(), errors.decode()


def until(true):
    """Wait for something to become true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)
    return value


def lives(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def server_of(provider, node):
    folder = Path(node.layout.state).parent
    until(lambda: provider.nodes(node.cluster)[0].state is not NodeState.PENDING)
    return until(lambda: power.read_running(folder, node.id.rpartition("-")[2]))


WHICH = "command -v uv; command -v python3; command -v python"
# A daemon as they are: forked twice, in a session of its own, holding nothing of the one that started it.
DAEMON = """python3 -c '
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2): os.dup2(null, number)
        open(sys.argv[1], "w").write(str(os.getpid()))
        os.execvp("sleep", ["sleep", "1000"])
' """


def start_daemon(client, folder, name="daemon"):
    assert run(client, f"{DAEMON} {folder}/{name}")[0] == 0
    return int(until(lambda: (folder / name).exists() and (folder / name).read_text()))


class TestPromises(ProviderContract):
    """Of every provider, here of this one."""


class TestLogin:
    def test_the_clusters_key_runs_a_command_on_a_node_that_shows_the_pinned_key(self, start, login):
        master, worker = start("master", "node001")
        for node in (master, worker):
            status, output, _ = run(login(node), "echo $CLUSTERCTL_NODE; pwd; id -u")
            assert status == 0
            assert output.split() == [node.alias, str(node.layout.home), str(os.getuid())]

    def test_another_key_a_password_and_another_user_are_refused(self, start, key_pair, key, tmp_path):
        (node,) = start("master")
        (tmp_path / "other").write_text(new_key_pair("")[0].reveal())
        other = paramiko.Ed25519Key.from_private_key_file(tmp_path / "other")
        for options in ({"pkey": other}, {"password": "secret"}, {"pkey": key, "username": "nobody-here"}):
            with pytest.raises(paramiko.SSHException):
                connect(node, **options)

    def test_a_node_with_another_host_key_is_not_spoken_to(self, start, key):
        master, worker = start("master", "node001")
        assert master.host_key != worker.host_key
        with pytest.raises(paramiko.BadHostKeyException):
            connect(provider_module.Node(**{**vars(master), "host_key": worker.host_key}), pkey=key)


class TestCommands:
    def test_exit_status_signal_and_both_outputs_are_told(self, start, login):
        client = login(*start("master"))
        assert run(client, "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")
        assert run(client, "kill -9 $$")[0] == -1  # paramiko's word for a signal
        assert run(client, "no-such-program")[0] == 127

    def test_five_megabytes_pass_both_ways_and_unread_input_does_no_harm(self, start, login):
        client = login(*start("master"))
        text = b"x" * 5_000_000
        assert run(client, "head -c 5000000 /dev/zero | tr '\\0' x")[1] == text.decode()
        assert run(client, "wc -c", stdin=text)[1].strip() == "5000000"
        assert run(client, "cat", stdin=text)[1] == text.decode()
        assert run(client, "exec <&-; echo deaf")[1] == "deaf\n"

    @pytest.mark.timeout(60)
    def test_a_daemon_that_lets_go_of_its_output_does_not_hold_the_command(self, start, login):
        client = login(*start("master"))
        assert run(client, "sleep 1000 >/dev/null 2>&1 </dev/null & echo on")[:2] == (0, "on\n")

    def test_the_end_of_a_channel_closes_the_programs_input(self, start, login, tmp_path):
        client = login(*start("master"))
        channel = client.get_transport().open_session()
        channel.exec_command(f"cat; echo over > {tmp_path}/over")
        channel.close()
        until((tmp_path / "over").exists)

    def test_many_sessions_run_at_once(self, start, login):
        client = login(*start("master"))
        channels = [client.get_transport().open_session() for _ in range(20)]
        for number, channel in enumerate(channels):
            channel.exec_command(f"read line; exit {number}")
        for channel in channels:
            channel.sendall(b"go\n")
        assert [channel.recv_exit_status() for channel in channels] == list(range(20))

    def test_the_environment_is_the_nodes_and_not_the_laptops(self, root, key_pair, login):
        env = {**os.environ, "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/nowhere", "IPP_PROFILE": "mine"}
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
        folder = str(Path(node.layout.env).parent)
        assert told["HOME"] == str(node.layout.home)
        assert told["CLUSTERCTL_NODE_ROOT"] == folder
        assert told["HTTPS_PROXY"] == "http://proxy"
        assert told["UV_CACHE_DIR"] == "/cache/uv"
        assert programs[1].split() == [f"{folder}/bin/{name}" for name in ("uv", "python3", "python")] + [
            sys.base_prefix
        ]


class TestTerminal:
    def test_a_shell_on_a_terminal_knows_its_size_and_hears_of_a_new_one(self, start, login):
        channel = login(*start("master")).invoke_shell(term="xterm", width=91, height=33)
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

    def test_ctrl_c_reaches_the_program_and_hanging_up_ends_it(self, start, login, tmp_path):
        (node,) = start("master")
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

    def test_the_home_is_shared_by_the_nodes_and_the_rest_is_not(self, start, login):
        master, worker = start("master", "node001")
        assert Facet.SHARED_HOME in master.facets
        run(login(master), "echo text > ~/shared")
        assert run(login(worker), "cat ~/shared")[1] == "text\n"
        assert master.layout.home == worker.layout.home
        assert master.layout.run != worker.layout.run
        assert stat.S_IMODE(Path(master.layout.run).stat().st_mode) == 0o700
        assert len(str(master.layout.run)) < 80


class TestForwarding:
    def test_to_loopback_it_works_and_to_elsewhere_it_is_refused(self, start, login):
        transport = login(*start("master")).get_transport()
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


class TestCreate:
    def test_a_node_is_there_before_its_server_and_soon_running(self, provider, start):
        (node,) = start("master")
        socket.create_connection((node.address, node.port)).close()
        until(lambda: provider.nodes("lab")[0].state is NodeState.RUNNING)
        assert node.cores == machine.usable_cores()

    def test_nodes_do_not_hold_the_pipes_or_the_session_of_the_command(self, root, key_pair, provider):
        script = f"""
import os; from pathlib import Path
from clusterctl.providers.local import LocalProvider
from clusterctl.model import *
plan = Plan("lab", "local", "", (NodeSpec("master"),), (), Request(), 1, 60, "")
node, = LocalProvider(Path({str(root)!r}), os.environ).create(plan, public_key={key_pair[1]!r})
print(node.id)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.stderr == ""
        (node,) = provider.nodes("lab")
        assert node.id == done.stdout.strip()
        running = server_of(provider, node)
        assert os.getsid(running.pid) == running.guardian
        assert psutil.Process(running.pid).terminal() is None

    def test_it_imports_no_asyncssh(self):
        code = "import sys, clusterctl.providers.local; sys.exit('asyncssh' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_S).returncode == 0

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EADDRINUSE, errno.EMFILE])
    def test_a_failing_create_says_what_to_do_and_undoes(self, provider, start, root, monkeypatch, number):
        made = []

        def listen(address, port):
            if len(made) == 1:
                raise OSError(number, os.strerror(number))
            made.append(address)
            return machine_listen(address, port)

        machine_listen = machine.open_listener
        monkeypatch.setattr(machine, "open_listener", listen)
        with pytest.raises(ProviderError) as caught:
            start("master", "node001")
        assert os.strerror(number) in caught.value.message
        assert caught.value.remedy
        assert list(root.iterdir()) == []

    def test_an_interrupted_create_ends_what_it_started_and_keeps_what_was(self, provider, start, monkeypatch, login):
        (before,) = start("master")

        def interrupted(*arguments):
            power.power_on(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(provider_module, "power_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start("master", "node001")
        (after,) = provider.nodes("lab")
        assert after.id == before.id
        assert run(login(after), "true")[0] == 0
        assert not (Path(before.layout.home).parent / "node001").exists()

    def test_an_undo_that_fails_is_noted_on_the_error(self, provider, start, monkeypatch):
        def failing(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(provider_module, "power_on", failing)
        monkeypatch.setattr(provider_module, "power_off", lambda folders, gently: [4711])
        with pytest.raises(ProviderError) as caught:
            start("master")
        if sys.version_info >= (3, 11):
            assert "4711" in caught.value.__notes__[0]

    def test_bad_names_are_found_by_check_and_refused(self, provider, key_pair):
        assert len(provider.check(plan_for("home", "../x", cluster="a/b"))) == 3
        with pytest.raises(ProviderError):
            provider.create(plan_for("master", cluster="../up"), public_key=key_pair[1])

    def test_the_cores_of_the_machine_are_divided_among_the_nodes(self, start, monkeypatch):
        monkeypatch.setattr(machine, "usable_cores", lambda: 8)
        assert {node.cores for node in start("master", "node001", "node002")} == {2}
