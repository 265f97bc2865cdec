"""Getting onto machines that are not ours: OpenSSH's own server, keys, agents, gateways, login shells, sudo."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack
from pathlib import PurePosixPath

import asyncssh
import pytest

from clusterctl.errors import RemoteError
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.model import Access, Facet
from clusterctl.remote.gateways import Gateways, _connect_socket
from clusterctl.testing import fake_node
from clusterctl.tunnel import forwarder
from clusterctl.tunnel import process as tunnel

from ..support.sshds import free_port, require, tunnel_works

pytestmark = pytest.mark.e2e
HOST = frozenset({Facet.MACHINE, Facet.INIT, Facet.LASTING})
NASTY = """echo "it's $((1+1)) \\\\ back"; echo 'hi! there!x'
echo ünï `echo tick`; printf 'a\\tb\\n'; echo '%d %%' {a,b} [x]* "$0" | cat
(exit 5)"""
SAID = "it's 2 \\ back\nhi! there!x\nünï tick\na\tb\n%d %% {a,b} [x]* sh\n"


@pytest.fixture
def agent(home, tmp_path, monkeypatch):
    """An ssh agent; call it with the keys that it shall hold."""
    require("ssh-agent", "ssh-add")
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield lambda *keys: subprocess.run(["ssh-add", "-q", *keys], check=True)
        process.terminate()


def locked_key(path, agent=None):
    """A key with a passphrase, held by the agent if there is one; returns its public part."""
    public = ensure_key_pair(path)
    if agent:
        agent(path)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a word", "-f", path], check=True)
    return public


class TestKeys:
    def test_the_clusters_own_key_is_offered_where_nothing_else_is_said(self, host, login):
        node = host.node()
        login.pin(node)
        host.allow(login.public_key)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_a_key_file_takes_its_place(self, host, login, tmp_path):
        host.allow(ensure_key_pair(tmp_path / "mine"))
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"
        said = login.refusal(host.node(facets=HOST))
        assert f"master: {getpass.getuser()} is not let in at 127.0.0.1:{host.port}: 1 key tried" in said
        assert "authorized_keys" in said

    def test_the_agents_keys_are_offered(self, host, login, tmp_path, agent):
        for name in ("other", "mine"):
            ensure_key_pair(tmp_path / name)
        agent(tmp_path / "other", tmp_path / "mine")
        host.allow((tmp_path / "mine.pub").read_text())
        node = host.node(access=Access(agent=True))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"
        assert "2 keys tried" not in login.refusal(host.node(facets=HOST))  # not where it is not wanted

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_the_keys_of_the_users_folder_are_offered(self, host, login, home, kind):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", home / f"id_{kind}"], check=True)
        host.allow((home / f"id_{kind}.pub").read_text())
        node = host.node(access=Access(agent=True))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_one_with_a_passphrase_is_the_agents_business(self, host, login, tmp_path, agent):
        host.allow(locked_key(tmp_path / "mine", agent))
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_and_without_an_agent_that_holds_it_the_error_says_so(self, host, login, tmp_path):
        host.allow(locked_key(tmp_path / "mine"))
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        said = login.refusal(node)
        assert f"the key {tmp_path}/mine has a passphrase, and no ssh agent holds it" in said
        assert f"ssh-add {tmp_path}/mine" in said

    def test_in_the_users_folder_it_is_passed_over(self, host, login, home):
        locked_key(home / "id_ed25519")
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", home / "id_ecdsa"], check=True)
        host.allow((home / "id_ecdsa.pub").read_text())
        node = host.node(access=Access(agent=True))
        login.pin(node)
        login.to(node).connect()

    @pytest.mark.parametrize("text", [None, "no key at all"])
    def test_a_file_that_is_no_key_is_named(self, host, login, tmp_path, text):
        if text:
            (tmp_path / "mine").write_text(text)
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        said = login.refusal(node)
        assert f"the key {tmp_path}/mine cannot be used" in said
        assert "KEY_LOCATION" in said

    def test_more_keys_than_the_server_wants_to_see(self, host, login, tmp_path, agent):
        for number in range(8):
            ensure_key_pair(tmp_path / f"key{number}")
        agent(*(tmp_path / f"key{number}" for number in range(8)))
        host.allow()
        node = host.node(access=Access(agent=True), facets=HOST)
        login.pin(node)
        assert "name one with KEY_LOCATION" in login.refusal(node)

    def test_a_machine_that_may_still_be_on_its_way_is_asked_again(self, host, login):
        host.allow()
        node = host.node()
        login.pin(node)
        assert "is not let in" in login.refusal(node, RemoteError)


class TestHostKeys:
    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_any_usual_type_can_be_pinned(self, sshds, login, kind):
        server = sshds.start(key_type=kind)
        server.allow(login.public_key)
        login.pin(server.node())
        assert login.to(server.node()).run("echo hi").stdout == "hi\n"

    def test_one_that_was_never_pinned_is_refused(self, host, login):
        host.allow(login.public_key)
        login.pin()
        assert "not found in known_hosts" in login.refusal(host.node(), RemoteError)

    def test_another_one_is_refused_and_of_a_host_that_is_final(self, host, login, tmp_path):
        host.allow(login.public_key)
        login.pin(host.node(host_key=ensure_key_pair(tmp_path / "another")))
        said = login.refusal(host.node(facets=HOST))
        assert "shows another host key than the one that was pinned" in said
        assert "HOST_KEY" in said
        assert "shows another host key" in login.refusal(host.node(), RemoteError)


def went(server):
    """Whether somebody who was logged in there has gone."""
    return any(sign in server.log for sign in ("isconnect", "onnection closed", "reset by peer"))


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


@pytest.fixture(scope="module", params=["bash", "tcsh", "bsd-csh", "fish", "zsh", "ksh"])
def odd_host(sshds, request):
    """A host whose login shell is each of these."""
    require(request.param)
    return sshds.start(shell=request.param)


class TestLoginShells:
    @pytest.fixture
    def remote(self, odd_host, login):
        odd_host.allow(login.public_key)
        login.pin(odd_host.node())
        return login.to(odd_host.node())

    def test_a_command_means_the_same_whatever_the_login_shell(self, remote):
        result = remote.run(NASTY, check=False)
        assert (result.status, result.stdout, result.stderr) == (5, SAID, "")

    def test_and_so_it_does_with_input(self, remote):
        assert remote.run(f"cat; {NASTY}", stdin="in!\n", check=False).stdout == f"in!\n{SAID}"

    def test_a_script_too(self, remote):
        assert remote.run_script(f"{NASTY} || true").stdout == SAID

    def test_a_long_command_is_no_matter(self, remote):
        assert remote.run(f"echo '{'x!' * 20000}' | wc -c").stdout.strip() == "40001"

    def test_one_at_a_terminal_is_no_other_one(self, remote, capfd, monkeypatch):
        reading, writing = os.pipe()
        with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
            monkeypatch.setattr(sys, "stdin", stdin)
            assert remote.shell(NASTY) == 5
        assert capfd.readouterr().out.replace("\r", "") == SAID

    def test_files_go_and_come(self, remote, tmp_path):
        (tmp_path / "a").write_text("hello")
        remote.put(tmp_path / "a", PurePosixPath(tmp_path / "new" / "it's b!"))
        remote.get(PurePosixPath(tmp_path / "new" / "it's b!"), tmp_path / "c")
        assert (tmp_path / "c").read_text() == "hello"


ACCOUNTS = {"free": "/bin/bash", "freecsh": "/usr/bin/tcsh", "freefish": "/usr/bin/fish", "asked": "/bin/bash"} | {
    "stranger": "/bin/bash",
    "bare": "/bin/bash",
    "barefish": "/usr/bin/fish",
    "barecsh": "/usr/bin/tcsh",
}


@pytest.fixture(scope="module")
def accounts(sshds):
    """A host in a mount namespace of its own, where there are other accounts and another sudoers file."""
    require("sudo", "unshare", "tcsh", "fish")
    if os.geteuid():
        pytest.skip("root: only root can make accounts for a test")
    etc = sshds.base / "etc"
    (etc / "sudoers.d").mkdir(parents=True)
    (etc / "path").mkdir()
    (etc / "path" / "sh").symlink_to("/bin/sh")
    entries = [f"{name}:x:{61000 + n}:65534::/:{shell}" for n, (name, shell) in enumerate(ACCOUNTS.items())]
    root = ["root:x:0:0::/root:/bin/bash", "sshd:x:60999:65534::/run/sshd:/usr/sbin/nologin"]
    (etc / "passwd").write_text("\n".join([*root, *entries]) + "\n")
    (etc / "shadow").write_text("".join(f"{name}:*:19000::::::\n" for name in ("root", "sshd", *ACCOUNTS)))
    (etc / "sudoers").write_text(
        "root ALL=(ALL:ALL) ALL\nasked ALL=(ALL) ALL\n"
        + "".join(f"{name} ALL=(ALL) NOPASSWD: ALL\n" for name in ACCOUNTS if name.startswith(("free", "bare")))
    )
    (etc / "sudoers").chmod(0o440)
    mounts = [f"mount --bind {etc}/{name} /etc/{name}" for name in ("passwd", "shadow", "sudoers", "sudoers.d")]
    script = " && ".join([*mounts, 'exec "$@"'])
    runner = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
    if subprocess.run([*runner, "true"], capture_output=True).returncode:
        pytest.skip("unshare: mounts are not allowed here")
    more = "".join(f"Match User {name}\n  SetEnv PATH={etc}/path\n" for name in ACCOUNTS if "bare" in name)
    return sshds.start(more=more, runner=runner)


class TestSudo:
    @pytest.fixture
    def as_user(self, accounts, login):
        accounts.allow(login.public_key)

        def as_user(name, facets=HOST):
            login.pin(accounts.node())
            return login.to(accounts.node(user=name, facets=facets))

        return as_user

    @pytest.mark.parametrize("name", ["free", "freecsh", "freefish"])
    def test_scripts_and_commands_run_as_root_when_asked_to(self, as_user, name):
        remote = as_user(name)
        assert remote.run_script("id -un", sudo=True).stdout == "root\n"
        assert remote.run("id -un; cat", stdin="in", sudo=True).stdout == "root\nin"
        assert remote.run(NASTY, sudo=True, check=False).stdout == SAID
        assert remote.run("id -un").stdout == f"{name}\n"
        assert remote.run_script("id -un").stdout == f"{name}\n"

    def test_root_needs_none_and_neither_does_a_node_that_is_no_machine(self, as_user):
        assert as_user("root").run_script("echo ${SUDO_USER:-none}", sudo=True).stdout == "none\n"
        assert as_user("free", frozenset()).run("id -un", sudo=True).stdout == "free\n"

    @pytest.mark.parametrize("name", ["asked", "stranger"])
    def test_who_would_be_asked_for_a_password_is_told_what_to_do(self, as_user, name):
        with pytest.raises(RemoteError, match=r"password is required|may not run sudo|not in the sudoers") as caught:
            as_user(name).run_script("id -un", name="base", sudo=True)
        assert f"`{name} ALL=(ALL) NOPASSWD: ALL`" in caught.value.remedy

    @pytest.mark.parametrize("name", ["bare", "barefish", "barecsh"])
    def test_where_there_is_no_sudo_that_is_said(self, as_user, name):
        with pytest.raises(RemoteError, match="base ended with status") as caught:
            as_user(name).run_script("id -un", name="base", sudo=True)
        assert "install sudo" in caught.value.remedy, caught.value.output
