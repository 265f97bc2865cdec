"""OpenSSH servers of a test's own: on loopback, with their own keys and config, and nothing of this computer's."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.identity.endpoints import known_hosts_name
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.remote.ssh import SSHRemote
from clusterctl.testing import fake_node
from clusterctl.tunnel import process as tunnel

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
_SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")


def require(*programs):
    """Skip a test where one of these is missing, with the program's name first."""
    for program in programs:
        if not (SSHD if program == "sshd" else shutil.which(program)):
            pytest.skip(f"{program}: is not installed")


def free_port(address="127.0.0.1"):
    """A port that nothing listens on, below those that the system gives to connections: a server comes back on it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in random.SystemRandom().sample(range(15000, 30000), 100):
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            return port
    raise AssertionError(f"no free port at {address}")


@dataclass
class Server:
    """A running sshd."""

    folder: Path
    port: int
    host_key: str
    process: subprocess.Popen
    address: str

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def allow(self, *public_keys):
        """Let these keys in, and no others."""
        (self.folder / "authorized").write_text("".join(f"{key}\n" for key in public_keys))

    @property
    def known_hosts_line(self):
        return f"{known_hosts_name(self.address, self.port)} {self.host_key}\n"

    def node(self, **changes):
        fields = {"address": self.address, "port": self.port, "user": getpass.getuser(), "host_key": self.host_key}
        return fake_node(**{**fields, **changes})


@dataclass
class Servers:
    """Starts sshds, and ends them."""

    base: Path
    made: list[Server] = field(default_factory=list)

    def start(self, *, shell="", more="", runner=(), key_type="ed25519", address="127.0.0.1", own_etc=False):
        """An sshd.

        Args:
            shell: have every command run by this shell, as where it is the user's login shell.
            more: further lines of its config.
            runner: words before its command line.
            key_type: of its host key, as ssh-keygen calls it.
            address: that it listens on.
            own_etc: with an /etc/ssh of its own, which its commands see too, and the host keys that are there.
        """
        folder = self.base / f"sshd{len(self.made)}"
        folder.mkdir()
        folder.chmod(0o755)
        if key_type == "ed25519":
            host_key = ensure_key_pair(folder / "host_key")
        else:
            subprocess.run(["ssh-keygen", "-q", "-t", key_type, "-N", "", "-f", folder / "host_key"], check=True)
            host_key = (folder / "host_key.pub").read_text()
        port = free_port(address)
        lines = [
            f"Port {port}",
            f"ListenAddress {address}",
            f"AuthorizedKeysFile {folder}/authorized",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "LogLevel VERBOSE",
            f"Subsystem sftp {next((path for path in _SFTP if Path(path).exists()), 'internal-sftp')}",
        ]
        if own_etc:
            host_key, runner = _own_etc(folder / "etc")
        else:
            lines.append(f"HostKey {folder}/host_key")
        if shell:
            (folder / "shell").write_text(
                f'#!/bin/sh\n[ -n "$SSH_ORIGINAL_COMMAND" ] && exec {shell} -c "$SSH_ORIGINAL_COMMAND"\nexec {shell}\n'
            )
            (folder / "shell").chmod(0o755)
            lines.append(f"ForceCommand {folder}/shell")
        (folder / "config").write_text("\n".join([*lines, more]) + "\n")
        (folder / "authorized").touch()
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [*runner, SSHD, "-D", "-e", "-f", folder / "config"], stdin=subprocess.DEVNULL, stderr=log
            )
        server = Server(folder, port, " ".join(host_key.split()[:2]), process, address)
        self.made.append(server)
        deadline = time.monotonic() + 30
        while "Server listening" not in server.log:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"sshd did not start: {server.log}")
            time.sleep(0.02)
        return server

    def end(self):
        for server in self.made:
            server.process.terminate()
            server.process.wait()


def _own_etc(folder):
    """A folder with host keys of two kinds, its main one, and words before a command that has it as /etc/ssh."""
    folder.mkdir(mode=0o755)
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", folder / "ssh_host_ecdsa_key"], check=True)
    script = f'mount --bind {folder} /etc/ssh && exec "$@"'
    runner = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
    if os.geteuid() or subprocess.run([*runner, "true"], capture_output=True).returncode:
        pytest.skip("root: mounts are not allowed here")
    return ensure_key_pair(folder / "ssh_host_ed25519_key"), runner


@contextlib.contextmanager
def servers():
    """Sshds that end with the block. Their folder can be read by every user."""
    require("sshd", "ssh-keygen")
    # Where sshd leaves its rights behind; the system's own service makes it, if it was ever started. It stays: servers
    # of other processes need it too.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="sshd-", dir="/tmp"))
    base.chmod(0o755)
    found = Servers(base)
    try:
        yield found
    finally:
        found.end()
        shutil.rmtree(base)


@dataclass
class Login:
    """Makes remotes with one key and one list of pinned hosts, and closes them."""

    folder: Path
    opened: list[SSHRemote] = field(default_factory=list)

    def __post_init__(self):
        self.public_key = ensure_key_pair(self.folder / "id")

    def pin(self, *nodes):
        (self.folder / "pinned").write_text(
            "".join(f"{known_hosts_name(node.address, node.port)} {node.host_key}\n" for node in nodes)
        )

    def to(self, node, **options):
        """A remote that is not connected yet."""
        remote = SSHRemote(
            node,
            key=self.folder / "id",
            known_hosts=self.folder / "pinned",
            log=self.folder / f"{node.alias}.log",
            **options,
        )
        self.opened.append(remote)
        return remote

    def refusal(self, node, kind=RefusedError, **options):
        """The error that a login ends with, as one text."""
        with pytest.raises(RemoteError) as caught:
            self.to(node, **options).connect()
        assert type(caught.value) is kind, caught.value
        return f"{caught.value.message} (try: {caught.value.remedy})"

    def close(self):
        for remote in self.opened:
            remote.close()


def tunnel_works(login, node, port):
    """Whether what is sent through a tunnel to a node arrives at an `echo` there, and comes back."""
    local = free_port()
    login.pin(node)
    target = tunnel.Target.for_node(node, login.folder / "id", login.folder / "pinned")
    tunnel.open_tunnel(login.folder, target, [tunnel.Forward(local, "127.0.0.1", port)])
    try:
        with socket.create_connection(("127.0.0.1", local), 10) as line:
            line.settimeout(10)
            line.sendall(b"hello")
            return line.recv(100) == b"hello"
    finally:
        tunnel.close_tunnel(login.folder)


@pytest.fixture(scope="module")
def sshds():
    with servers() as found:
        yield found


@pytest.fixture(scope="module")
def host(sshds):
    """A host as most are."""
    return sshds.start()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without keys, agent or known hosts."""
    (tmp_path / "me" / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path / "me" / ".ssh"


@pytest.fixture
def login(home, tmp_path):
    made = Login(tmp_path)
    yield made
    made.close()


@pytest.fixture
def echo():
    """A port that answers with what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.sendall(line.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
