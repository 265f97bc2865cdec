"""The cluster's programs come first in the shells of the cluster user, and the prompt says where one is."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest

from clusterctl.node.render import render

from ..support.sshds import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SHELLS = {"bash": "bash", "sh": "dash", "zsh": "zsh", "fish": "fish", "tcsh": "tcsh", "csh": "bsd-csh", "ksh": "ksh"}
"""Users, and their login shells."""
WITHOUT_FILE = {"sh", "ksh"}
"""Of which a command over plain `ssh` reads nothing: these have no file for it."""
OPERATOR, STRANGER = "operator", "stranger"
HERE = "(lab node001) "


class Machine:
    """This computer with an /etc of its own, in which the programs of a cluster were announced to its shells."""

    def __init__(self, folder):
        self.folder = folder
        self.etc = folder / "etc"
        shutil.copytree("/etc", self.etc, symlinks=True, ignore_dangling_symlinks=True)
        (folder / "crontabs").mkdir()
        (folder / "programs").mkdir()
        folder.chmod(0o755)
        python = folder / "programs" / "python"
        python.write_text("#!/bin/sh\necho of the cluster\n")
        python.chmod(0o755)
        users = [*SHELLS, OPERATOR, STRANGER]
        with (self.etc / "passwd").open("a") as passwd:
            for number, name in enumerate(users, start=61000):
                (folder / name).mkdir()
                (folder / name / ".zshrc").touch()  # else zsh asks what should be in it
                shutil.chown(folder / name, number, 65534)
                shell = shutil.which(SHELLS.get(name, "bash"))
                passwd.write(f"{name}:x:{number}:65534::{folder / name}:{shell}\n")
        with (self.etc / "shadow").open("a") as shadow:
            shadow.writelines(f"{name}:*:19000::::::\n" for name in users)

    def words(self, *command):
        script = (
            f'mount --bind {self.etc} /etc; mount --bind {self.folder}/crontabs /var/spool/cron/crontabs; exec "$@"'
        )
        return ("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *map(str, command))

    def announce(self, user, *, also=""):
        """What a join does about shells."""
        machine = files("clusterctl_templates").joinpath("machine.sh").read_text()
        piece = render("base_shells.sh.j2", programs=[self.folder / "programs"], here=HERE, also=also)
        script = f"set -eu\numask 022\nblock_name=lab\nuser={user}\nuid=$(id -u {user})\n{machine}\n{piece}"
        return subprocess.run(self.words("sh"), input=script, text=True, capture_output=True, check=True).stdout

    def run(self, user, *arguments, login=False):
        """What sshd does: the user's shell in the user's home, with the environment that sshd gives."""
        shell = shutil.which(SHELLS.get(user, "bash"))
        own = [f"HOME={self.folder / user}", f"USER={user}", f"LOGNAME={user}", "PATH=/usr/local/bin:/usr/bin:/bin"]
        name = f"-{Path(shell).name}" if login else shell
        begin = f"import os, sys; os.execv({shell!r}, [{name!r}, *sys.argv[1:]])"
        as_user = ("setpriv", "--reuid", user, "--regid", "65534", "--clear-groups")
        return self.words(
            *as_user,
            "env",
            "-i",
            *own,
            "TERM=dumb",
            "SSH_CLIENT=::1 1 1",
            "SHLVL=0",
            *("sh", "-c", f'cd "$HOME"; exec python3 -c "{begin}" "$@"', "sh", *arguments),
        )

    def command(self, user, command):
        done = subprocess.run(self.run(user, "-c", command), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.stdout + done.stderr

    def typed(self, user, *lines, login=True):
        """What a terminal shows once these lines were typed."""
        pid, terminal = pty.fork()
        if pid == 0:
            words = self.run(user, login=login)
            os.execvp(words[0], words)
        seen = b""
        deadline = time.monotonic() + 30
        os.write(terminal, "".join(f"{line}\n" for line in (*lines, "exit")).encode())
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    part = os.read(terminal, 65536)
                except OSError:
                    break
                if not part:
                    break
                seen += part
                if b"\x1b[c" in part:  # fish asks what kind of terminal this is
                    os.write(terminal, b"\x1b[?1;2c")
        os.waitpid(pid, 0)
        return seen.decode(errors="replace")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    require("setpriv", "unshare", "crontab", *SHELLS.values())
    if os.geteuid():
        pytest.skip("root: only root can make accounts for a test")
    machine = Machine(tmp_path_factory.mktemp("machine"))
    if subprocess.run(machine.words("true"), capture_output=True).returncode:
        pytest.skip("unshare: mounts are not allowed here")
    for parent in machine.folder.parents[:-2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    return machine


@pytest.mark.parametrize("user", SHELLS)
def test_the_shells_of_the_cluster_user(machine, user):
    assert "changed: " in machine.announce(user)
    assert machine.announce(user) == "", "a second join changed something"
    shown = machine.typed(user, "python")
    assert "of the cluster" in shown, shown
    assert HERE in shown, shown
    if user not in WITHOUT_FILE:
        assert machine.command(user, "python") == "of the cluster\n"


@pytest.mark.parametrize("user", ["bash", "zsh", "tcsh"])
def test_one_that_is_no_login_too(machine, user):
    machine.announce(user)
    shown = machine.typed(user, "python", login=False)
    assert "of the cluster" in shown, shown
    assert HERE in shown, shown


def test_a_prompt_of_the_users_own_and_a_virtual_environment_stay(machine):
    machine.announce("bash")
    (machine.folder / "bash" / ".bashrc").write_text("PS1='mine> '\n")
    shown = machine.typed("bash", "PATH=/own:$PATH", "bash", 'echo "$PATH"', "exit")
    assert f"{HERE}mine> " in shown
    assert f"/own:{machine.folder}/programs:" in shown, shown


def test_nobody_elses_are_touched_and_the_operators_only_where_one_types(machine):
    machine.announce("bash", also=OPERATOR)
    for command in ("python", "echo $PATH"):
        assert "cluster" not in machine.command(STRANGER, command).replace(str(machine.folder), "")
    shown = machine.typed(STRANGER, "echo $PATH")
    assert HERE not in shown
    assert f"{machine.folder}/programs" not in shown
    assert f"{machine.folder}/programs" not in machine.command(OPERATOR, "echo $PATH")
    shown = machine.typed(OPERATOR, "python")
    assert "of the cluster" in shown
    assert HERE in shown


def test_cron_gives_its_jobs_the_same_unless_the_user_says_otherwise(machine):
    def table(user):
        return subprocess.run(machine.words("crontab", "-u", user, "-l"), capture_output=True, text=True).stdout

    machine.announce("zsh")
    (line,) = [line for line in table("zsh").splitlines() if line.startswith("PATH=")]
    done = subprocess.run(["/usr/bin/env", "-i", line, "sh", "-c", "python"], capture_output=True, text=True)
    assert done.stdout == "of the cluster\n"
    own = "PATH=/own\n0 0 * * * true\n"
    subprocess.run(machine.words("crontab", "-u", "tcsh", "-"), input=own, text=True, check=True)
    machine.announce("tcsh")
    assert table("tcsh") == own
