"""Ways to a node's SSH server that are no plain connection by IPv4: a program on the laptop, and IPv6."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import psutil
import pytest

from clusterctl.errors import LostError, RemoteError
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.model import Access
from clusterctl.remote import proxy_command
from clusterctl.tunnel import process

from ..support.sshds import free_port, tunnel_works

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "support" / "relay_program.py"))


def by(*command):
    return Access(command=tuple(map(str, command)))


@pytest.fixture
def node(host, login, tmp_path):
    """A node that only a program knows the way to, whose address is a name of the cloud's."""
    host.allow(login.public_key)
    made = host.node(address="i-0abc", port=22, access=by(*PROGRAM, "127.0.0.1", host.port, tmp_path / "pid"))
    login.pin(made)
    return made


class TestProgram:
    def test_commands_scripts_and_files_go_over_it(self, node, login, tmp_path):
        remote = login.to(node)
        assert remote.run("cat", stdin="x" * 300_000).stdout == "x" * 300_000
        assert remote.run_script("echo $((1 + 1))").stdout == "2\n"
        (tmp_path / "a").write_bytes(os.urandom(300_000))
        remote.put(tmp_path / "a", PurePosixPath(tmp_path / "there"))
        remote.get(PurePosixPath(tmp_path / "there"), tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_a_command_at_a_terminal_goes_over_it(self, node, login, capfd, monkeypatch):
        reading, writing = os.pipe()
        with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
            monkeypatch.setattr(sys, "stdin", stdin)
            assert login.to(node).shell("echo hello; exit 5") == 5
        assert capfd.readouterr().out.replace("\r", "") == "hello\n"

    def test_it_ends_with_the_connection(self, node, login, tmp_path, poll):
        remote = login.to(node)
        remote.connect()
        pid = int((tmp_path / "pid").read_text())
        assert psutil.pid_exists(pid)
        remote.close()
        poll(lambda: not psutil.pid_exists(pid), "the program is gone")

    def test_one_that_does_not_want_to_end_is_killed_with_what_it_started(self, node, login, tmp_path, poll):
        shell = f"trap '' TERM; {' '.join(node.access.command)}; sleep 600"
        remote = login.to(replace(node, access=by("sh", "-c", shell)))
        remote.connect()
        group = psutil.Process(int((tmp_path / "pid").read_text())).parent()
        remote.close()
        poll(lambda: not group.is_running(), "the shell around it is gone")
        poll(lambda: not psutil.pid_exists(int((tmp_path / "pid").read_text())), "the program is gone")

    def test_it_ends_too_when_clusterctl_is_killed(self, node, tmp_path, poll):
        code = f"from clusterctl.remote.proxy_command import ProxyCommand; ProxyCommand({node.access.command}); input()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as killed:
            poll(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the program runs")
            pid = int((tmp_path / "pid").read_text())
            killed.kill()
        poll(lambda: not psutil.pid_exists(pid), "the program is gone")

    def test_a_connection_that_breaks_is_an_error(self, node, login, tmp_path):
        remote = login.to(node)
        remote.connect()
        psutil.Process(int((tmp_path / "pid").read_text())).kill()
        with pytest.raises(LostError, match="master: true: "):
            remote.run("true")

    def test_and_connecting_again_makes_another_one(self, node, login, tmp_path, poll):
        remote = login.to(node)
        remote.connect()
        first = psutil.Process(int((tmp_path / "pid").read_text()))
        first.kill()
        with pytest.raises(LostError):
            remote.run("true")
        poll(lambda: not remote._is_up(), "it is known that the connection broke")
        remote.connect()
        assert remote.run("echo hi").stdout == "hi\n"
        assert int((tmp_path / "pid").read_text()) != first.pid

    def test_the_host_key_is_pinned_by_the_name_that_the_program_knows(self, node, login, tmp_path):
        assert (tmp_path / "pinned").read_text().startswith("i-0abc ssh-ed25519 ")
        login.pin(replace(node, host_key=ensure_key_pair(tmp_path / "another")))
        assert "master (i-0abc:22) shows another host key" in login.refusal(node, RemoteError)
        login.pin(replace(node, address="i-0other"))
        assert "not found in known_hosts" in login.refusal(node, RemoteError)

    def test_what_it_said_last_is_in_the_error(self, node, login):
        said = login.refusal(replace(node, access=by("sh", "-c", "echo i-0abc is not connected >&2")), RemoteError)
        assert said.startswith("master does not answer through sh: ")
        assert "(sh said: i-0abc is not connected) (try: " in said

    def test_one_that_leads_nowhere_is_given_up(self, node, login, monkeypatch, tmp_path, poll):
        monkeypatch.setattr(proxy_command, "TIMEOUT_S", 0.5)
        silent = by("sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 600")
        assert "does not answer through sh" in login.refusal(replace(node, access=silent), RemoteError)
        poll(lambda: not psutil.pid_exists(int((tmp_path / "pid").read_text())), "the program is gone")

    def test_one_that_is_not_there_is_refused_with_how_to_get_it(self, node, login):
        said = login.refusal(replace(node, access=by("aws-not-here", "ssm")))
        assert "master: aws-not-here, which is the way to it, cannot be run here: No such file" in said
        assert "(try: install aws-not-here on this computer" in said

    def test_the_tunnel_goes_over_it_and_ends_it(self, node, login, echo, tmp_path, poll):
        assert tunnel_works(login, node, echo)
        pid = int((tmp_path / "pid").read_text())
        poll(lambda: not psutil.pid_exists(pid), "the program is gone")

    def test_a_tunnel_that_does_not_come_up_says_what_it_said(self, node, login, tmp_path, monkeypatch):
        (tmp_path / "sitecustomize.py").write_text(
            "from clusterctl.tunnel import process\nprocess.READY_TIMEOUT_S = 0.1\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        broken = replace(node, access=by("sh", "-c", "echo i-0abc is not connected >&2"))
        with pytest.raises(RemoteError, match=r"did not come up: .*\(sh said: i-0abc is not connected\)") as refused:
            process.open_tunnel(tmp_path, process.Target.for_node(broken, tmp_path / "id", tmp_path / "pinned"), [])
        assert f"`clusterctl start {tmp_path.name}` brings back what is off" in refused.value.remedy


@pytest.fixture(scope="module")
def six(sshds):
    """A host that is reached by IPv6 only."""
    try:
        free_port("::1")
    except OSError:
        pytest.skip("IPv6: this computer has no ::1")
    return sshds.start(address="::1")


class TestIPv6:
    def test_it_is_logged_in_to(self, six, login):
        six.allow(login.public_key)
        login.pin(six.node())
        assert login.to(six.node()).run("echo hi").stdout == "hi\n"

    def test_its_host_key_is_pinned(self, six, login, tmp_path):
        login.pin(six.node(host_key=ensure_key_pair(tmp_path / "another")))
        assert f"master ([::1]:{six.port}) shows another host key" in login.refusal(six.node(), RemoteError)

    def test_the_tunnel_goes_there(self, six, login, echo):
        six.allow(login.public_key)
        assert tunnel_works(login, six.node(), echo)

    def test_messages_have_it_in_brackets(self, six, login):
        six.allow()
        login.pin(six.node())
        assert f"is not let in at [::1]:{six.port}: 1 key tried" in login.refusal(six.node(), RemoteError)
        node = six.node(port=free_port("::1"))
        assert f"does not answer on [::1]:{node.port}: " in login.refusal(node, RemoteError)

    def test_it_is_reached_through_a_gateway(self, six, sshds, login, home):
        gate = sshds.start()
        gate.allow(ensure_key_pair(home / "id_ed25519"))
        six.allow(login.public_key)
        (home / "known_hosts").write_text(gate.known_hosts_line)
        node = six.node(access=Access(jump=f"127.0.0.1:{gate.port}"))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_a_gateway_may_be_reached_so_too(self, six, host, login, home, echo):
        six.allow(ensure_key_pair(home / "id_ed25519"))
        host.allow(login.public_key)
        (home / "known_hosts").write_text(six.known_hosts_line)
        node = host.node(access=Access(jump=f"[::1]:{six.port}"))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"
        assert tunnel_works(login, node, echo)
