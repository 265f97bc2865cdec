"""Getting onto machines that are not ours: login shells, accounts, sudo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import PurePosixPath

import pytest

from clusterctl.errors import RemoteError

from ..support.openssh import HOST, NASTY, SAID
from ..support.sshds import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


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


@pytest.fixture(scope="module")
def noisy_host(sshds):
    """A host whose login shell prints, as root's own does on some; SFTP would not work there, either."""
    shell = sshds.base / "noisy-shell"
    shell.write_text('#!/bin/sh\nprintf "Welcome!\\n1 update\\n%s" no-end-of-line\nexec bash "$@"\n')
    shell.chmod(0o755)
    return sshds.start(shell=str(shell))


class TestNoise:
    @pytest.fixture
    def remote(self, noisy_host, login):
        noisy_host.allow(login.public_key)
        login.pin(noisy_host.node())
        return login.to(noisy_host.node())

    def test_what_a_login_shell_prints_is_no_output_of_a_command(self, remote):
        lines = []
        assert remote.run("echo 1000 1000", on_line=lines.append).stdout == "1000 1000\n"
        assert lines == ["1000 1000"]
        assert remote.run("cat", stdin="in\n").stdout == "in\n"
        assert remote.run_script("echo one; echo two").stdout == "one\ntwo\n"

    def test_nor_of_a_file(self, remote, tmp_path):
        (tmp_path / "a").write_bytes(bytes(range(256)))
        remote.put(tmp_path / "a", PurePosixPath(tmp_path / "b"))
        remote.get(PurePosixPath(tmp_path / "b"), tmp_path / "c")
        assert (tmp_path / "c").read_bytes() == bytes(range(256))


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
