"""One owner on a node: real shells, which get their scripts as a node's SSH server hands them on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import psutil
import pytest

from clusterctl.remote.owner import NOT_OWNED, Owner, prepare, refusal
from clusterctl.testing import fake_node

from ..support.laptop import poll

pytestmark = pytest.mark.e2e

WORD = "a-word-that-nobody-guesses"
SHELLS = {"dash": "dash", "bash": "bash --posix", "busybox": "busybox ash", "ksh": "ksh", "zsh": "zsh --emulate sh"}


@dataclass
class Script:
    """A script that a node runs: its input ends when the laptop goes."""

    process: subprocess.Popen[str]
    node: object

    def end(self):
        """Its status, what it printed, and the refusal that its sender sees."""
        out, err = self.process.stdout.read(), self.process.stderr.read()
        status = self.process.wait(30)
        self.hang_up()
        return status, out.removeprefix(f"{WORD}\n"), refusal(err, self.node, word=WORD)

    def hang_up(self):
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    @property
    def group(self):
        """What runs of it."""
        return [each for each in psutil.process_iter() if self._is_of_it(each)]

    def _is_of_it(self, process):
        with suppress(psutil.Error, ProcessLookupError):
            return process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == self.process.pid
        return False


@dataclass
class Machine:
    """A node that many laptops send scripts to."""

    folder: Path
    shell: str = "sh"
    sent: list[Script] = field(default_factory=list)

    def begin(self, script, *, home="a", turn=1, run=None):
        made = fake_node()
        node = replace(made, layout=replace(made.layout, run=PurePosixPath(self.folder / "run folder")))
        owner = Owner(
            home, turn, run or f"{home}{turn}", "2026-01-02T03:04:05Z", f"{home}@host", "clusterctl start lab"
        )
        command, text = prepare(script, owner, node, sudo=True, word=WORD)
        process = subprocess.Popen(
            [*command.split()[:-2], *self.shell.split(), "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.folder,
        )
        self.sent.append(Script(process, node))
        process.stdin.write(text)
        process.stdin.flush()
        return self.sent[-1]

    def run(self, script="echo ran", **owner):
        return self.begin(script, **owner).end()

    def begin_long(self, script="", **owner):
        """One that is at work when this returns, and has no end."""
        name = f"begun{len(self.sent)}"
        script = self.begin(f"{script}\n: > {name}\nsleep 600 & sleep 600", **owner)
        poll((self.folder / name).exists, "the script has begun")
        poll(lambda: len(script.group) > 2, "its children have begun as well")
        return script

    def close(self):
        for script in self.sent:
            with suppress(ProcessLookupError):
                os.killpg(script.process.pid, signal.SIGKILL)
            for pipe in (script.process.stdin, script.process.stdout, script.process.stderr):
                with suppress(BrokenPipeError):
                    pipe.close()
            script.process.wait(10)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[name if name == "dash" else pytest.param(name, marks=pytest.mark.slow) for name in SHELLS])
def any_shell(request, machine):
    program, *words = SHELLS[request.param].split()
    found = shutil.which(program)
    if not found:
        pytest.skip(f"{program}: is not installed")
    machine.shell = " ".join([found, *words])
    return machine


class TestInAnyShell:
    def test_a_script_runs_with_its_status_its_output_and_no_input(self, any_shell):
        assert any_shell.run("set -eu\ntrap 'echo bye' EXIT\ncat\necho hi\nexit 3") == (3, "hi\nbye\n", None)
        assert any_shell.run("set -e\nfalse\necho no", turn=2)[:2] == (1, "")

    def test_scripts_of_one_run_go_side_by_side(self, any_shell):
        first = any_shell.begin_long()
        assert any_shell.run() == (0, "ran\n", None)
        assert len(first.group) > 2

    def test_another_one_is_told_who_is_at_work(self, any_shell):
        first = any_shell.begin_long()
        status, out, error = any_shell.run(home="b")
        assert (status, out) == (NOT_OWNED, "")
        assert "another clusterctl is at work there: a@host, clusterctl start lab, since " in error.message
        assert "wait for it to end" in error.remedy
        assert len(first.group) > 2

    def test_a_newer_one_of_the_same_laptop_ends_what_the_older_left_and_waits_for_it(self, any_shell):
        first = any_shell.begin_long()
        os.kill(first.process.pid, signal.SIGKILL)  # its children are left, and nobody waits for them
        assert any_shell.run(turn=2) == (0, "ran\n", None)
        assert first.group == []

    def test_one_whose_laptop_has_gone_ends_by_itself(self, any_shell):
        first = any_shell.begin_long()
        first.hang_up()
        poll(lambda: not first.group, "nothing is left of it")
        assert any_shell.run(home="b") == (0, "ran\n", None)

    def test_an_older_one_that_begins_late_refuses_itself(self, any_shell):
        assert any_shell.run(turn=1)[0] == 0
        assert any_shell.run(turn=3)[0] == 0
        for late in ({"turn": 1}, {"turn": 2}):
            status, out, error = any_shell.run(**late)
            assert (status, out) == (NOT_OWNED, "")
            assert "another clusterctl has taken over there: a@host" in error.message


def test_one_that_was_taken_over_by_another_laptop_goes_on_nowhere(machine):
    assert machine.run(home="a")[0] == 0
    assert machine.run(home="b")[0] == 0
    assert "taken over there: b@host" in machine.run(home="a")[2].message
    assert machine.run(home="a", turn=2)[0] == 0


@pytest.mark.slow
def test_what_does_not_listen_is_killed(machine):
    first = machine.begin_long("trap '' TERM")
    assert machine.run(turn=2) == (0, "ran\n", None)
    assert first.group == []


def test_what_a_script_has_started_to_stay_stays(machine):
    script = "nohup sleep 600 >/dev/null 2>&1 & echo $!"
    _, in_session, _ = machine.run(script)
    _, of_its_own, _ = machine.run(f"setsid {script}")
    pids = [int(in_session), int(of_its_own)]
    try:
        killed = machine.begin_long("setsid sleep 600 & echo $! > daemon")
        pids.append(int((machine.folder / "daemon").read_text()))
        assert machine.run(turn=2)[0] == 0
        assert killed.group == []
        assert [psutil.Process(pid).status() for pid in pids] == ["sleeping"] * 3
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("homes", ["abcd", pytest.param("abcdefgh", marks=pytest.mark.slow)])
def test_of_many_that_come_at_once_one_goes_on_at_a_time(machine, homes):
    # Each would see the other's file, were there two at work.
    alone = "mkdir alone || echo NOT ALONE; sleep 0.02; rmdir alone || echo NOT ALONE"
    began = [machine.begin(alone, home=home) for home in homes]
    outcomes = [script.end() for script in began]
    assert [out for _, out, _ in outcomes] == [""] * len(began)
    assert {status for status, _, _ in outcomes} <= {0, NOT_OWNED}
    assert 0 in {status for status, _, _ in outcomes}


def test_what_scripts_note_does_not_grow_with_the_commands(machine):
    for turn in range(1, 6):
        assert machine.run(turn=turn)[0] == 0
    assert len(list((machine.folder / "run folder" / "owner").iterdir())) == 2


def test_where_nothing_can_be_noted_the_script_does_not_run(machine):
    (machine.folder / "run folder").write_text("a file")
    status, out, error = machine.run()
    assert (status, out, error) == (73, "", None)


def test_words_of_a_node_are_no_orders_to_a_terminal(machine):
    node = fake_node()
    error = refusal(f"noise\n{WORD} busy\nme\x1b[2J\n\x07\nsoon\n$(reboot)\n", node, word=WORD)
    assert "\\x1b[2J" in error.message
    assert "reboot" not in error.remedy
    assert refusal("another word busy\n", node, word=WORD) is None
