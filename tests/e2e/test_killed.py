"""A command that is killed while its scripts work: nothing goes on, and the next one is well at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

import psutil
import pytest
from uv import find_uv_bin

from clusterctl.environment import lock as locks
from clusterctl.node.programs import node_program
from clusterctl.node.render import render
from clusterctl.remote.owner import Owner, prepare
from clusterctl.testing import fake_node

from ..support.laptop import Laptop, poll

pytestmark = pytest.mark.e2e

WAITS = """#!/bin/sh
PATH=${{PATH#*:}}
if [ "$1" != --version ] && mkdir {mark} 2>/dev/null; then
    {program} "$@"
    echo $$ > {mark}/pid
    exec sleep 600
fi
exec {program} "$@"
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A laptop whose nodes have nothing to install but Python, with programs that wait in the middle of their work."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "bin").mkdir()
    laptop = Laptop(folder / "home", more={"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    laptop.home.mkdir()
    (laptop.home / "config").write_text("[cluster bare]\nPROVIDER = local\nPLUGINS =\n")
    yield laptop, folder
    laptop.terminate_all()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only here it is told which processes are left")
@pytest.mark.parametrize("program", ["mv", "rm"])
def test_a_script_ends_with_the_command_that_was_killed_and_the_next_one_completes_it(bench, program):
    laptop, folder = bench
    shim, mark = folder / "bin" / program, folder / f"{program}-began"
    shim.write_text(WAITS.format(mark=mark, program=shutil.which(program)))
    shim.chmod(0o755)
    options = ("-c", "bare", "-s", "2")
    try:
        with laptop.begin("start", *options, program) as command:
            pid = int(poll(lambda: (mark / "pid").exists() and (mark / "pid").read_text(), "its script is at work"))
            os.kill(command.pid, signal.SIGKILL)
            command.wait()
            laptop.run("start", *options, program)
            assert not psutil.pid_exists(pid)
    finally:
        shim.unlink()
    nodes = [laptop.node_folder(program, alias) for alias in ("master", "node001")]
    for node in nodes:
        assert (node / "env" / "bin" / "python").exists()
        assert [path.name for path in node.glob("env*")] == ["env"]
    laptop.run("terminate", "--yes", program)


STEP = """#!/bin/sh
PATH={path}
echo x >> {count}
if [ "$(wc -l < {count})" -eq {last} ]; then
    {before}
    kill -9 -$(ps -o pgid= -p $$ | tr -d ' ')
fi
exec {program} "$@"
"""
PATH = f"{Path(find_uv_bin()).parent}{os.pathsep}{os.environ['PATH']}"
"""Whoever names no environment has no uv in it."""
PROGRAMS = ("mkdir", "mv", "cp", "ln", "rm", "cat", "touch", "find", "readlink", "uname", "python3", "uv")


class Disk:
    """A node's disk, on which scripts can be killed at their n-th program."""

    def __init__(self, folder, cache=None):
        self.node_folder, self.cache, self._bin = folder / "node", cache or folder / "cache", folder / "bin"
        for path in (self.node_folder / "run", self.cache, self._bin):
            path.mkdir(parents=True, exist_ok=True)
        made, place = fake_node(), PurePosixPath(self.node_folder)
        paths = {name: place / name for name in ("env", "state", "run")}
        self.clones = folder / ".environments"
        self.node = replace(made, layout=replace(made.layout, **paths, cache=PurePosixPath(self.cache)))
        self.turn = 0

    def run(self, script, *, kill_at=0, after=False):
        """Run a script as the next command's. Return its status, -9 where it was killed."""
        self.turn += 1
        count = self._bin / f"count{self.turn}"
        count.touch()
        for name in PROGRAMS:
            program = shutil.which(name, path=PATH)
            before = f'{program} "$@"' if after else ":"
            values = {"path": PATH, "count": count, "last": kill_at, "before": before}
            (self._bin / name).write_text(STEP.format(program=program, **values))
            (self._bin / name).chmod(0o755)
        with self.begin(script) as process:
            return self.end(process)

    def begin(self, script):
        owner = Owner("home", self.turn, f"run{self.turn}", "2026-01-02T03:04:05Z", "me@host", "clusterctl start lab")
        command, text = prepare(script, owner, self.node, sudo=True, word="word")
        process = subprocess.Popen(
            command.split(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PATH": f"{self._bin}{os.pathsep}{PATH}"},
        )
        process.stdin.write(text.encode())
        process.stdin.flush()
        return process

    def end(self, process):
        said = process.stderr.read().decode()
        process.stdin.close()
        assert process.wait() in {0, -9}, said
        return process.returncode

    def python(self):
        """Which environment the node's Python says it is of."""
        python = [str(self.node_folder / "env" / "bin" / "python"), "-c", "import sys; print(sys.prefix)"]
        return subprocess.run(python, capture_output=True, text=True, check=True).stdout.strip()

    def built(self):
        """The environments in the cache."""
        return [path.name for path in (self.cache / "environments").glob("[0-9a-f]*") if "." not in path.name]

    def let_uv_wait(self, for_file):
        """Have its packages come once this file is there."""
        uv = self._bin / "uv"
        waiting = (
            f'[ "$1" != pip ] || : > {for_file}.waits; until [ "$1" != pip ] || [ -e {for_file} ]; do sleep 0.02; done'
        )
        uv.write_text(f'#!/bin/sh\n{waiting}\nexec {find_uv_bin()} "$@"\n')
        uv.chmod(0o755)


def build_values(node):
    paths = {"cache": node.layout.cache / "environments", "env": node.layout.env}
    sync = ["--offline", "--allow-empty-requirements"]
    paths["clones"] = node.layout.env.parent.parent / ".environments"
    return {**paths, "name": "0123456789abcdef", "lock": "", "sync": sync, "command": "a start", "grown_from": ""}


def environment_script(node):
    return render(
        "packages_join.sh.j2",
        build=node_program("clusterctl.on_node.system.build_environment", build_values(node)),
        machine=False,
        common=False,
        layout=node.layout,
        files="",
        python=locks.python(),
        lock="",
        digest="0123456789abcdef",
        index=locks.Index(),
        sync="--offline --allow-empty-requirements",
        record="{}",
        keys=(),
        variables=None,
    )


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_wherever_a_script_is_killed_the_same_one_is_well_the_next_time(tmp_path, after):
    killed = 0
    for step in range(1 + after, 60, 3):
        disk = Disk(tmp_path / str(step))
        script = environment_script(disk.node)
        if disk.run(script, kill_at=step, after=after) == 0:
            break
        killed += 1
        assert disk.run(script) == 0, f"killed at {step}"
        assert disk.python() == str(disk.node_folder / "env")
        assert [path.name for path in disk.node_folder.glob("env*")] == ["env"]
        names = [{path.name for path in folder.iterdir()} for folder in (disk.cache / "environments", disk.clones)]
        whole = {f"0123456789abcdef{more}" for more in ("", ".manifest")}
        assert [whole | {".building"}, whole] == [names[0], names[1] - {"0123456789abcdef.checked"}], (
            f"killed at {step}"
        )
        shutil.rmtree(tmp_path / str(step))
    assert killed > 2


@contextmanager
def building(tmp_path):
    """Two disks with one cold cache, whose first builds: both, its script, and the file that lets its uv go on."""
    first, second = (Disk(tmp_path / name, tmp_path / "cache") for name in ("first", "second"))
    go = tmp_path / "go"
    first.let_uv_wait(go)
    with first.begin(environment_script(first.node)) as early:
        poll((tmp_path / "go.waits").exists, "the first builds", process=early)
        yield first, second, early, go


def test_of_two_that_come_to_one_cold_cache_the_second_waits_for_the_first(tmp_path):
    with building(tmp_path) as (first, second, early, go), second.begin(environment_script(second.node)) as late:
        assert first.built() == []
        go.touch()
        assert (first.end(early), second.end(late)) == (0, 0)
    assert first.built() == ["0123456789abcdef"]
    assert (first.python(), second.python()) == tuple(str(disk.node_folder / "env") for disk in (first, second))


def test_one_whose_builder_was_killed_while_uv_lives_waits_for_uvs_end(tmp_path):
    with building(tmp_path) as (first, second, early, go):
        (builder,) = (
            child for child in psutil.Process(early.pid).children(recursive=True) if "python" in child.name().lower()
        )
        builder.kill()
        with second.begin(environment_script(second.node)) as late:
            assert first.built() == []
            go.touch()
            assert second.end(late) == 0
        early.stdin.close()
    assert first.built() == ["0123456789abcdef"]
    assert second.python() == str(second.node_folder / "env")
